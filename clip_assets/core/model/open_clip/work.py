"""How much work a picture is for a network, found by letting it see one; and by which kernels it is done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from clip_assets.core.model.kernels import TypicalLayer

if TYPE_CHECKING:
    from open_clip import CLIP
    from open_clip.transformer import ResidualAttentionBlock
    from torch import Tensor
    from torch.nn import Conv2d, Linear, Module

    from clip_assets.core.model.kernels import Kernels

_SAMPLE_ROWS = 128
_SAMPLE_PICTURES = 2


def measured(network: CLIP, picture: Tensor) -> tuple[int, TypicalLayer]:
    """Floating-point operations that a picture takes, and the layer that takes most of them.

    Products and convolutions count, a multiply-add as two, and attention; what else there is takes little.

    Args:
        network: In which precision ever.
        picture: (1, 3, R, R), as the network takes it.
    """
    import torch

    seen: list[tuple[int, Module, tuple[int, ...]]] = []

    def note(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(module, torch.nn.MultiheadAttention):
            batch, tokens, width = inputs[0].shape
            seen.append((batch * tokens * (8 * width**2 + 4 * tokens * width), module, ()))
        else:
            weights = module.weight.numel() // module.weight.shape[0]  # type: ignore[operator, index]
            seen.append((2 * output.numel() * int(weights), module, tuple(inputs[0].shape)))

    counted = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.MultiheadAttention)
    hooks = [module.register_forward_hook(note) for module in network.modules() if isinstance(module, counted)]
    try:
        with torch.inference_mode():
            network.encode_image(picture)
    finally:
        for hook in hooks:
            hook.remove()
    plain = [(flops, module, shape) for flops, module, shape in seen if shape and _is_product(module)]
    _, layer, shape = max(plain, key=lambda one: one[0])
    return sum(flops for flops, _, _ in seen), TypicalLayer(layer, _sample(layer, shape))  # type: ignore[arg-type]


def _is_product(module: Module) -> bool:
    """Whether it is a product, or a convolution that is one: 1x1, without groups."""
    from torch.nn import Linear

    return isinstance(module, Linear) or bool(module.kernel_size == (1, 1) and module.groups == 1)


def _sample(layer: Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an input that is large enough to measure by."""
    from torch.nn import Linear

    return (_SAMPLE_ROWS, layer.in_features) if isinstance(layer, Linear) else (_SAMPLE_PICTURES, *shape[1:])


def compute_with(network: CLIP, kernels: Kernels) -> None:
    """Let the image encoder's products be computed by ``kernels``; its parameters stay as they are.

    torch's own choice is what the modules do by themselves.
    """
    from open_clip import transformer
    from torch.nn import Conv2d, Linear

    if kernels.name == "torch":
        return
    for module in network.visual.modules():
        if isinstance(module, Linear):
            vars(module)["forward"] = partial(_linear, module, kernels)
        elif isinstance(module, Conv2d) and not isinstance(module.padding, str):
            vars(module)["forward"] = partial(_convolution, module, kernels)
        elif isinstance(module, transformer.ResidualAttentionBlock) and not hasattr(module, "ln_1_kv"):
            vars(module)["attention"] = partial(_attention, module, kernels)


def _linear(layer: Linear, kernels: Kernels, x: Tensor) -> Tensor:
    return kernels.linear(x, layer.weight, layer.bias)


def _convolution(convolution: Conv2d, kernels: Kernels, x: Tensor) -> Tensor:
    return kernels.convolution(convolution, x)


def _attention(
    block: ResidualAttentionBlock,
    kernels: Kernels,
    q_x: Tensor,
    k_x: None = None,
    v_x: None = None,
    attn_mask: Tensor | None = None,
) -> Tensor:
    """As ``open_clip.transformer.ResidualAttentionBlock.attention``, of a picture's tokens with themselves."""
    from torch.nn.functional import scaled_dot_product_attention

    attention = block.attn
    batch, tokens, width = q_x.shape
    projected = kernels.linear(q_x, attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = projected.view(batch, tokens, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    heads = scaled_dot_product_attention(query, key, value, attn_mask=attn_mask)
    attended = heads.transpose(1, 2).reshape(batch, tokens, width)
    return kernels.linear(attended, attention.out_proj.weight, attention.out_proj.bias)
