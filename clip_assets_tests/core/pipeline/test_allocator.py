"""Memory that is freed stays with the process."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library isn't glibc")

FAULTS = """
import resource, threading
from clip_assets.core.pipeline.allocator import keep_freed_memory

def faults():
    began = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(10):
        blocks = [b"1" * 3_000_000 for _ in range(10)]
        del blocks
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - began

assert keep_freed_memory()
thread = threading.Thread(target=lambda: print(min(faults() for _ in range(5))))
thread.start()
thread.join()
"""


def test_a_thread_gets_the_memory_again_that_it_freed() -> None:
    ran = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True)
    assert int(ran.stdout) < 1000, "ten times 30 MB are 73,000 pages, if each comes from the system anew"
