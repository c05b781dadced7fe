"""One process at a time on a device: a lock file per host and device, which goes with its process."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

FOLDER = Path(tempfile.gettempdir())
"""Where the lock files are: a folder of this host that all its users share."""


@contextmanager
def held_alone(devices: Sequence[str], write: Callable[[str], object]) -> Iterator[bool]:
    """Hold devices until the end of the context; waits while another process of this host holds one of them.

    Args:
        devices: As torch names them.
        write: Takes a line that says what is waited for.

    Yields:
        Whether there was anything to wait for.
    """
    from filelock import FileLock, Timeout

    waited = False
    with ExitStack() as held:
        for identity, device in sorted({_identity(device): device for device in devices}.items()):
            lock = FileLock(FOLDER / f"clip_assets_{identity}.lock", mode=0o666)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                write(f"Waits: another process encodes on {device}.")
                lock.acquire()
                waited = True
            held.callback(lock.release)
        yield waited


def _identity(device: str) -> str:
    """What tells a device from all others of the host; CUDA's numbers are another process's own."""
    if not device.startswith("cuda"):
        return device
    import torch

    return f"cuda_{torch.cuda.get_device_properties(device).uuid}"
