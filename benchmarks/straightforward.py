"""What most people write: OpenCV reads, CLIP's own transform prepares, one batch at a time; for comparison only.

    python benchmarks/straightforward.py CHECKPOINT OUTPUT BATCH_SIZE FPS VIDEO...

FPS is 0 for every frame; otherwise each video is first encoded again at that rate, as ``ffmpeg -filter:v fps=FPS``
does.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import av
import clip
import cv2
import numpy as np
import torch
from PIL import Image


def main() -> None:
    """Write ``<stem>_clip.npy`` and ``<stem>_timestamps_ms.npy`` for each video."""
    checkpoint, output, batch_size, fps, *videos = sys.argv[1:]
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model = clip.model.build_model(dict(state)).float().eval()
    transform = clip.clip._transform(model.visual.input_resolution)
    for video in videos:
        with tempfile.TemporaryDirectory() as folder:
            path = encode_again(Path(video), Path(folder), float(fps)) if float(fps) else Path(video)
            features, times = extract(path, model, transform, int(batch_size))
        np.save(Path(output) / f"{Path(video).stem}_clip.npy", features)
        np.save(Path(output) / f"{Path(video).stem}_timestamps_ms.npy", times)


def encode_again(path: Path, folder: Path, fps: float) -> Path:
    """A copy of the video at ``fps`` frames per second, in H.264 with x264's defaults."""
    copy = folder / path.name
    with av.open(str(path)) as source, av.open(str(copy), "w") as target:
        stream = source.streams.video[0]
        stream.thread_type = "AUTO"
        graph = av.filter.Graph()
        ends = graph.add_buffer(template=stream), graph.add("fps", f"fps={fps}"), graph.add("buffersink")
        graph.link_nodes(*ends).configure()
        output = target.add_stream("libx264", rate=int(fps))
        output.width, output.height, output.pix_fmt = stream.width, stream.height, "yuv420p"
        for frame in (*source.decode(stream), None):
            graph.push(frame)
            while (picked := pull(graph)) is not None:
                target.mux(output.encode(picked))
        target.mux(output.encode(None))
    return copy


def pull(graph: av.filter.Graph) -> av.VideoFrame | None:
    """The filter's next frame, if it has one."""
    try:
        return graph.pull()
    except (av.BlockingIOError, av.EOFError):
        return None


def extract(path: Path, model: torch.nn.Module, transform: object, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (T, D) and times (T,) in ms."""
    reader = cv2.VideoCapture(str(path))
    features, times, batch = [], [], []
    with torch.no_grad():
        while True:
            read, frame = reader.read()
            if read:
                times.append(reader.get(cv2.CAP_PROP_POS_MSEC))
                batch.append(transform(Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))))
            if batch and (len(batch) == batch_size or not read):
                features.append(model.encode_image(torch.stack(batch)).numpy())
                batch = []
            if not read:
                return np.concatenate(features), np.array(times)


if __name__ == "__main__":
    main()
