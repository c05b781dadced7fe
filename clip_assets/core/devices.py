"""Which devices to compute on, and in which precision."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from clip_assets.core.errors import DeviceError

if TYPE_CHECKING:
    from clip_assets.core.model import Precision

logger = logging.getLogger(__name__)

_GPU_BATCH = 256

# As many operations as take a core about half a second: 9 pictures of ViT-B/32, 6 of RN50.
_CPU_BATCH_FLOPS = 80_000_000_000
_CPU_BATCH_MOST = 128


def resolve_devices(device_ids: Literal["auto", "cpu"] | Sequence[int | Literal["cpu"]]) -> tuple[str, ...]:
    """The devices asked for, as torch names them (``cuda:0``, ``cpu``); at least one.

    Args:
        device_ids: "auto" (the first GPU, or the CPU where there is none), "cpu", or a replica of the model for each
            of these: CUDA ids, or "cpu" several times.

    Raises:
        DeviceError: No device was named, or one that isn't there; the message lists those that are.
    """
    if device_ids == "cpu":
        return ("cpu",)
    count = _cuda_device_count()
    if device_ids == "auto":
        return ("cuda:0",) if count else _fall_back_to_cpu()
    present = ", ".join(f"{index}" for index in range(count)) or "none"
    if not device_ids:
        raise DeviceError(f"device_ids is empty. Name 'auto', 'cpu' or CUDA ids; present: {present}.")
    if absent := [str(device) for device in device_ids if device != "cpu" and device not in range(count)]:
        raise DeviceError(
            f"CUDA device {', '.join(absent)} is not there; CUDA devices present: {present}. "
            "Choose among these, or device_ids 'cpu'."
        )
    return tuple("cpu" if device == "cpu" else f"cuda:{device}" for device in device_ids)


def resolve_precision(precision: Literal["auto", "fp32", "fp16", "bf16"], devices: Sequence[str]) -> Precision:
    """The number format to compute in: "auto" is fp16 if all devices are GPUs, else fp32."""
    if precision != "auto":
        return precision
    return "fp16" if all(device.startswith("cuda") for device in devices) else "fp32"


def default_batch_size(devices: Sequence[str], image_flops: int) -> int:
    """Frames encoded together where nobody said how many.

    A GPU needs many to fill it. A CPU doesn't: more than fill its caches make it slower, and a batch that is begun
    can't be interrupted.

    Args:
        devices: As torch names them.
        image_flops: Floating-point operations that a picture takes.
    """
    if all(device.startswith("cuda") for device in devices):
        return _GPU_BATCH
    return min(max(_CPU_BATCH_FLOPS // image_flops, 1), _CPU_BATCH_MOST)


def available_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _may_have_gpu() -> bool:
    """False where there is no driver, so that torch can't find a GPU: importing it to ask would take a second.

    With a driver only torch knows: it may be built without CUDA, or want a newer driver. What it calls cuda is NVIDIA's
    GPUs, through the driver's library, which it loads by this name on any Linux, also in containers; and AMD's,
    through the kernel driver's device.
    """
    if sys.platform == "darwin":
        return False
    if sys.platform != "linux" or Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def _cuda_device_count() -> int:
    if not _may_have_gpu():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


@functools.cache  # so that it is said once
def _fall_back_to_cpu() -> tuple[str]:
    logger.warning("No CUDA device is present: computing on the CPU.")
    return ("cpu",)
