"""Which code multiplies matrices on this CPU: torch's own choice, or oneDNN where a measurement says it is faster.

torch gives products of float32 to MKL, which has slow kernels for some processors that aren't Intel's, and 1x1
convolutions of few pictures to a loop of such products; oneDNN, which comes with torch, computes both. torch has no
public call for that without copying the weights: its private operators are used here and nowhere else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from clip_assets.core.user_cache import recall, remember

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Conv2d, Linear

logger = logging.getLogger(__name__)

_REMEMBERED = "kernels"

# A network with less work for a picture spends its time elsewhere.
_LEAST_FLOPS = 10**9

# By less than this a short measurement can be wrong, and nobody would notice.
_LEAST_GAIN = 1.1

_MEASURING_SECONDS = 0.04


@dataclass(frozen=True)
class Kernels:
    """How a network's layers are computed; both give the same but for rounding.

    Attributes:
        name: Whose code it is.
        linear: As ``torch.nn.functional.linear``.
        convolution: As ``torch.nn.Conv2d.forward``.
    """

    name: Literal["torch", "oneDNN"]
    linear: Callable[[Tensor, Tensor, Tensor], Tensor]
    convolution: Callable[[Conv2d, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class TypicalLayer:
    """A layer of a network that stands for the others, to be measured.

    Attributes:
        layer: A product or a 1x1 convolution.
        shape: Of an input, large enough that putting the weights in order, once for each product, weighs about as it
            does in a batch.
    """

    layer: Linear | Conv2d
    shape: tuple[int, ...]


def torch_kernels() -> Kernels:
    """What torch chooses by itself."""
    from torch.nn import Conv2d
    from torch.nn.functional import linear

    return Kernels("torch", linear, Conv2d.forward)


def onednn_kernels() -> Kernels:
    """oneDNN, on weights as they lie in memory. Calls raise where this torch has no such operator."""
    import torch

    def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return product

    def convolution(module: Conv2d, x: Tensor) -> Tensor:
        at = cast("tuple[int, ...]", module.padding), module.stride, module.dilation, module.groups
        convolved: Tensor = torch.mkldnn_convolution(x, module.weight, module.bias, *at)
        return convolved

    return Kernels("oneDNN", linear, convolution)


def fastest_kernels(image_flops: int, typical: TypicalLayer) -> Kernels:
    """The faster ones for a float32 network on the CPU, by a layer of its own; torch's where they are about level.

    What was measured is remembered for the processor, torch's version and the layer's size. That takes less than 100 ms
    once, and nothing where the network is so small that other things take its time. oneDNN is compared with torch on
    that layer whenever it is taken.

    Args:
        image_flops: Floating-point operations that a picture takes.
        typical: A layer of the network.
    """
    import torch

    plain, fast = torch_kernels(), onednn_kernels()
    if image_flops < _LEAST_FLOPS:
        return plain
    key = f"{processor()}, torch {torch.__version__}, {typical.layer} of {typical.shape}"
    gain = recall(_REMEMBERED).get(key)
    if isinstance(gain, float) and gain < _LEAST_GAIN:
        return plain
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as an encoding thread has it where there are few processors
    try:
        with torch.inference_mode():
            run = _runner(typical.layer, typical.shape)
            if not _agree(lambda: run(fast), lambda: run(plain)):
                return plain
            if not isinstance(gain, float):
                gain = times_as_fast(lambda: run(fast), lambda: run(plain), _MEASURING_SECONDS)
                remember(_REMEMBERED, **{key: gain})
    finally:
        torch.set_num_threads(threads)
    logger.debug("oneDNN is %.2f times as fast as torch's own choice", gain)
    return fast if gain >= _LEAST_GAIN else plain


def times_as_fast(one: Callable[[], object], other: Callable[[], object], seconds: float) -> float:
    """How many calls of ``one`` take the time of one of ``other``: their quickest, taking turns for so long.

    Time is that of this thread, whatever else the machine does, where the system tells it finely enough.
    """
    fine = time.get_clock_info("thread_time").resolution < 1e-4
    clock = time.thread_time if fine else time.perf_counter
    best = [float("inf"), float("inf")]
    end = clock() + seconds
    while clock() < end or min(best) == float("inf"):
        for number, call in enumerate((one, other)):
            began = clock()
            call()
            best[number] = min(best[number], clock() - began)
    return best[1] / best[0]


def processor() -> str:
    """The processor's model and the widest instructions that torch uses of it, such as ``AMD EPYC 7763, AVX2``."""
    import torch

    return f"{capabilities().get('cpu_name') or 'unknown'}, {torch.backends.cpu.get_cpu_capability()}"


def capabilities() -> Mapping[str, object]:
    """What torch knows of the processor (``torch.cpu.get_capabilities``); empty where torch is older than that."""
    import torch

    known = getattr(torch.cpu, "get_capabilities", dict)
    found: Mapping[str, object] = known()
    return found


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 by instructions of its own (AVX512-BF16, AMX, or Arm's)."""
    return any(capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def bf16_gain(image_flops: int, typical: TypicalLayer) -> float:
    """How many times as fast bf16 is as fp32 for a layer of a float32 network on the CPU, measured; 1 without bf16.

    Args:
        image_flops: Floating-point operations that a picture takes.
        typical: A layer of the network.
    """
    import torch

    if not has_bf16():
        return 1.0
    fp32 = fastest_kernels(image_flops, typical)
    layer, shape = typical.layer, typical.shape
    with torch.inference_mode():
        run_bf16, run_fp32 = _runner(deepcopy(layer).bfloat16(), shape), _runner(layer, shape)
        return times_as_fast(lambda: run_bf16(torch_kernels()), lambda: run_fp32(fp32), _MEASURING_SECONDS)


def _runner(layer: Linear | Conv2d, shape: tuple[int, ...]) -> Callable[[Kernels], Tensor]:
    """The layer of a random input, by whichever kernels."""
    import torch

    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(layer.weight.dtype)
    if isinstance(layer, torch.nn.Linear):
        return lambda kernels: kernels.linear(x, layer.weight, layer.bias)
    x = x.to(memory_format=torch.channels_last)
    return lambda kernels: kernels.convolution(layer, x)


def _agree(fast: Callable[[], Tensor], plain: Callable[[], Tensor]) -> bool:
    """Whether the operator is there and gives what torch gives."""
    try:
        result = fast()
    except (AttributeError, RuntimeError, TypeError) as error:  # what private operators of another torch may raise
        logger.debug("oneDNN can't be used: %s", error)
        return False
    expected = plain()
    return bool((result - expected).abs().max() <= 1e-5 * expected.abs().max())
