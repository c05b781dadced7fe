"""OpenAI's network on a CPU: the same arithmetic in the same order, with fewer copies, and by kernels of our choice."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from clip_assets.core.model.kernels import TypicalLayer

if TYPE_CHECKING:
    from collections.abc import Callable

    from clip.model import CLIP, AttentionPool2d, ResidualAttentionBlock, Transformer
    from torch import Tensor
    from torch.nn import Conv2d, Module

    from clip_assets.core.model.kernels import Kernels

_SAMPLE_TOKENS = 128
_SAMPLE_PICTURES = 2


def compute_with(network: CLIP, kernels: Kernels) -> None:
    """Let ``network`` compute by ``kernels``; its parameters stay as they are, with their names and in their places.

    Features are bit for bit those of OpenAI's code with torch's kernels, for pictures and a ViT, and else the same but
    for rounding.
    """
    from torch.nn import Conv2d

    visual = network.visual
    computed: list[tuple[Module, Callable[..., Tensor]]] = [(network.transformer, _transformer)]
    if hasattr(visual, "transformer"):
        computed.append((visual.transformer, _transformer))
    else:
        computed.append((visual.attnpool, _attention_pool))
        if kernels.name != "torch":  # whose convolutions are the modules' own, without a call between
            computed += [(module, _convolution) for module in visual.modules() if isinstance(module, Conv2d)]
    for module, compute in computed:
        vars(module)["forward"] = partial(compute, module, kernels)


def typical_layer(network: CLIP) -> TypicalLayer:
    """A product of a ViT, or a 1x1 convolution of a ResNet."""
    visual = network.visual
    if hasattr(visual, "transformer"):
        layer = visual.transformer.resblocks[0].attn.out_proj
        return TypicalLayer(layer, (_SAMPLE_TOKENS, layer.in_features))
    layer = visual.layer2[0].conv3
    side = visual.input_resolution // 8
    return TypicalLayer(layer, (_SAMPLE_PICTURES, layer.in_channels, side, side))


def _convolution(convolution: Conv2d, kernels: Kernels, x: Tensor) -> Tensor:
    return kernels.convolution(convolution, x)


def _transformer(transformer: Transformer, kernels: Kernels, x: Tensor) -> Tensor:
    """As ``clip.model.Transformer``, from and to (tokens, batch, width); between, a picture's tokens lie together."""
    x = x.transpose(0, 1).contiguous()
    for block in transformer.resblocks:
        x = _block(block, kernels, x)
    return x.transpose(0, 1)


def _block(block: ResidualAttentionBlock, kernels: Kernels, x: Tensor) -> Tensor:
    """As ``clip.model.ResidualAttentionBlock``, of (batch, tokens, width)."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    attention, mlp = block.attn, block.mlp
    batch, tokens, width = x.shape
    projected = kernels.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = projected.view(batch, tokens, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    heads = scaled_dot_product_attention(query, key, value, is_causal=block.attn_mask is not None)
    attended = heads.transpose(1, 2).reshape(batch, tokens, width)
    x = kernels.linear(attended, attention.out_proj.weight, attention.out_proj.bias).add_(x)
    hidden = kernels.linear(block.ln_2(x), mlp.c_fc.weight, mlp.c_fc.bias)
    hidden.mul_(torch.mul(hidden, 1.702).sigmoid_())  # QuickGELU
    return kernels.linear(hidden, mlp.c_proj.weight, mlp.c_proj.bias).add_(x)


def _attention_pool(pool: AttentionPool2d, kernels: Kernels, x: Tensor) -> Tensor:
    """As ``clip.model.AttentionPool2d``: (batch, width, rows, columns) to (batch, features)."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([x.mean(1, keepdim=True), x], 1) + pool.positional_embedding.to(x.dtype)
    query, key, value = (
        kernels.linear(of, layer.weight, layer.bias).unflatten(-1, (pool.num_heads, -1)).transpose(1, 2)
        for of, layer in ((x[:, :1].contiguous(), pool.q_proj), (x, pool.k_proj), (x, pool.v_proj))
    )
    heads = scaled_dot_product_attention(query, key, value)
    return kernels.linear(heads.transpose(1, 2).flatten(1), pool.c_proj.weight, pool.c_proj.bias)
