"""The child process in which decord runs: a script, so that nothing of the parent is imported again.

It reads one JSON line from standard input (`path`, `indices`, `threads`) and writes to standard output a JSON line
with `count`, then the presentation times in seconds (float64); then for each frame a JSON line with its `shape` and
its RGB bytes. A JSON line with `error` stands in place of whichever of them fails.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import BinaryIO


def _exit_with_parent() -> None:
    """End at once when standard input closes, as it does however the parent ends; decord may hang for ever."""
    sys.stdin.buffer.read()
    os._exit(1)


def _own_output() -> BinaryIO:
    """Standard output for this script alone: what libraries print goes to standard error."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


def _write(output: BinaryIO, head: dict[str, object], body: bytes | memoryview = b"") -> None:
    output.write(json.dumps(head).encode() + b"\n")
    output.write(body)
    output.flush()


def main() -> None:
    """Serve one request."""
    output = _own_output()
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    import decord
    import numpy as np

    try:
        # Without a tolerance decord repeats a frame in place of one that it couldn't decode, and says nothing.
        reader = decord.VideoReader(request["path"], num_threads=request["threads"], fault_tol=1e-9)
        starts = reader.get_frame_timestamp(range(len(reader)))[:, 0].astype(np.float64)
        _write(output, {"count": len(reader)}, starts.tobytes())
        for index in request["indices"]:
            rgb = np.ascontiguousarray(reader[index].asnumpy())
            _write(output, {"shape": rgb.shape}, rgb.reshape(-1).data)
    except (decord.DECORDError, RuntimeError, AssertionError, IndexError, StopIteration) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        _write(output, {"error": lines[0]})


if __name__ == "__main__":
    main()
