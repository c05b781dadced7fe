"""How much work a picture is for CLIP's image encoder, from the sizes of its layers.

torch's own counter would say the same, but it runs the network and imports torch's compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clip.model import CLIP, ModifiedResNet, VisionTransformer
    from torch.nn import Module


def image_flops(network: CLIP) -> int:
    """Floating-point operations of convolutions, matrix products and attention; a multiply-add counts as two."""
    visual = network.visual
    return 2 * (_vit(visual) if hasattr(visual, "transformer") else _resnet(visual))


def _vit(visual: VisionTransformer) -> int:
    patches = (visual.input_resolution // visual.conv1.kernel_size[0]) ** 2
    tokens = patches + 1
    attention = 2 * visual.transformer.layers * tokens**2 * visual.transformer.width
    return patches * _weights(visual.conv1) + tokens * _weights(visual.transformer) + attention + visual.proj.numel()


def _resnet(visual: ModifiedResNet) -> int:
    side = visual.input_resolution // 2
    multiply_adds = side**2 * _weights(visual.conv1, visual.conv2, visual.conv3)
    side //= 2
    for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        if layer is not visual.layer1:  # its first convolutions come before its pooling
            multiply_adds += (side**2 - (side // 2) ** 2) * _weights(layer[0].conv1, layer[0].conv2)
            side //= 2
        multiply_adds += side**2 * _weights(layer)
    pool, tokens = visual.attnpool, side**2 + 1
    attention = 2 * tokens * pool.k_proj.out_features
    return multiply_adds + tokens * _weights(pool.k_proj, pool.v_proj) + _weights(pool.q_proj, pool.c_proj) + attention


def _weights(*modules: Module) -> int:
    """Weights that are applied at each position: those with more than one dimension."""
    return sum(weight.numel() for module in modules for weight in module.parameters() if weight.ndim > 1)
