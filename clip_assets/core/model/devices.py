"""Which devices to compute on, and in which precision."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from clip_assets.core.digests import digest
from clip_assets.core.errors import DeviceError
from clip_assets.core.user_cache import recall, remember

if TYPE_CHECKING:
    from clip_assets.core.model.clip_model import Precision

logger = logging.getLogger(__name__)

_REMEMBERED = "devices"
_VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")

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


def resolve_precision(
    precision: Literal["auto", "fp32", "fp16", "bf16"], devices: Sequence[str], on_gpus: Precision
) -> Precision:
    """The number format to compute in: "auto" is the family's for GPUs if all devices are GPUs, else fp32."""
    if precision != "auto":
        return precision
    return on_gpus if all(device.startswith("cuda") for device in devices) else "fp32"


def expected_precision(
    precision: Literal["auto", "fp32", "fp16", "bf16"],
    device_ids: Literal["auto", "cpu"] | Sequence[int | Literal["cpu"]],
    on_gpus: Precision,
) -> Precision:
    """The number format in which a run here would compute, without importing torch where that was found before.

    Args:
        precision: As in `resolve_precision`.
        device_ids: As in `resolve_devices`; those that are named are taken to be there.
        on_gpus: As in `resolve_precision`.
    """
    if precision != "auto":
        return precision
    if isinstance(device_ids, str):
        has_gpu = device_ids == "auto" and _expected_device_count() > 0
        return resolve_precision(precision, ("cuda",) if has_gpu else ("cpu",), on_gpus)
    return resolve_precision(precision, ["cpu" if device == "cpu" else "cuda" for device in device_ids], on_gpus)


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

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if recall(_REMEMBERED) != (seen := {"machine": _machine(), "count": count}):
        remember(_REMEMBERED, **seen)
    return count


def _expected_device_count() -> int:
    """What torch last found in this machine, if torch, driver and devices are the same; else what it finds."""
    known = recall(_REMEMBERED) if _may_have_gpu() else {"machine": _machine(), "count": 0}
    count = known.get("count")
    return count if isinstance(count, int) and known.get("machine") == _machine() else _cuda_device_count()


def _machine() -> str:
    """Another one for another torch, driver, or choice of devices."""
    torch = importlib.util.find_spec("torch")
    origin = torch.origin if torch and torch.origin else ""
    driver = Path("/sys/module/nvidia/version")
    devices = [*Path("/dev").glob("nvidia[0-9]*"), *Path("/dev/dri").glob("render*")]
    return digest(
        {
            "torch": [origin, Path(origin).stat().st_mtime_ns if origin else 0],
            "driver": driver.read_text() if driver.exists() else "",
            "devices": sorted(map(str, devices)),
            "visible": {name: os.environ.get(name) for name in _VISIBLE},
        }
    )


@functools.cache  # so that it is said once
def _fall_back_to_cpu() -> tuple[str]:
    logger.warning("No CUDA device is present: computing on the CPU.")
    return ("cpu",)
