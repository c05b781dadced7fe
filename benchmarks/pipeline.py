"""Stages alone and together: how near the pipeline comes to what the hardware allows.

    python benchmarks/pipeline.py [--models demo ViT-B/32 ...] [--sizes 240p 1080p] [--fps 1] [--runs 5] [--json]

Models other than demo have random weights: speed doesn't depend on their values. Each stage alone has the machine to
itself and uses all cores. On a CPU, where the stages share the cores, efficiency is the CPU seconds of the stages
alone divided by cores x seconds of the whole; on a GPU it is the whole's frames per second divided by the slower of
decoding and encoding alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from clip.model import CLIP

from clip_assets.core.cores import available_cores
from clip_assets.core.model.clip_model import ClipModel, Precision
from clip_assets.core.model.devices import default_batch_size, resolve_precision
from clip_assets.core.pipeline.allocator import keep_freed_memory
from clip_assets.core.pipeline.decoding import FRAMES_PER_MESSAGE, PipelineOptions, VideoJob
from clip_assets.core.pipeline.features import Extracted, extract_features
from clip_assets.core.pipeline.staging import CpuStaging
from clip_assets.core.records import FrameIndices
from clip_assets.core.sampling import Sampling
from clip_assets.core.video import decode
from clip_assets.models import family_of, load_model
from videos import SIZES, planned, video

# The arguments of OpenAI's CLIP: embed_dim, image_resolution, vision_layers, vision_width, vision_patch_size,
# context_length, vocab_size, transformer_width, transformer_heads, transformer_layers.
ARCHITECTURES = {
    "ViT-B/32": (512, 224, 12, 768, 32, 77, 49408, 512, 8, 12),
    "ViT-L/14": (768, 224, 24, 1024, 14, 77, 49408, 768, 12, 12),
    "RN50": (1024, 224, (3, 4, 6, 3), 64, None, 77, 49408, 512, 8, 12),
}

ALONE = ("decode", "preprocess", "encode")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["demo", "ViT-B/32"], choices=["demo", *ARCHITECTURES])
    parser.add_argument("--sizes", nargs="+", default=["240p", "1080p"], choices=SIZES)
    parser.add_argument("--fps", type=float, help="sampled frames per second; all frames without it")
    parser.add_argument("--seconds", type=int, default=20, help="length of each video")
    parser.add_argument("--videos", type=int, default=2, help="videos per run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, help="by the device without it")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    keep_freed_memory()  # as the pipeline does, so that the stages alone have no handicap
    folder = Path(tempfile.gettempdir()) / "clip_assets_benchmark"
    rows = []
    for name in arguments.models:
        model = random_model(name, folder, arguments.device)
        rows += [
            measure(model, name, video(folder, size, arguments.seconds), size, arguments) for size in arguments.sizes
        ]
    print(json.dumps(rows, indent=1) if arguments.json else table(rows))


def random_model(name: str, folder: Path, device: str, precision: Precision | None = None) -> ClipModel:
    """The model, with random weights unless it is the bundled one; in the precision of the device by default."""
    precision = precision or resolve_precision("auto", [device], family_of(name).gpu_precision)
    if name == "demo":
        return load_model("demo", weights_folder=folder, device=device, precision=precision)
    path = folder / f"random_{name.replace('/', '-')}.pth"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        torch.save(CLIP(*ARCHITECTURES[name]).state_dict(), path)
    return load_model("custom", checkpoint=path, weights_folder=folder, device=device, precision=precision)


def measure(model: ClipModel, name: str, path: Path, size: str, arguments: argparse.Namespace) -> dict[str, object]:
    """One row: frames per second of each stage and of the whole, medians, and the efficiency."""
    plan = partial(planned, path, Sampling(extraction_fps=arguments.fps))
    _, frames = plan()
    options = PipelineOptions(batch_size=arguments.batch_size)
    jobs = [VideoJob(str(number), plan) for number in range(arguments.videos)]
    batch_size = options.batch_size or default_batch_size([model.device], model.image_flops)
    pixels, batch = stage_inputs(model, path, frames, batch_size)
    stages: dict[str, Callable[[], int]] = {
        "decode": partial(decode_only, jobs),
        "preprocess": partial(preprocess_only, model, pixels, len(jobs) * len(frames.indices)),
        "encode": partial(encode_only, model, batch, len(jobs) * len(frames.indices)),
        "together": partial(together, jobs, [model], options),
    }
    for stage in stages.values():
        stage()  # warm-up
    runs = [{stage: clocked(run) for stage, run in stages.items()} for _ in range(arguments.runs)]
    fps = {stage: statistics.median(run[stage]["fps"] for run in runs) for stage in stages}
    alone = statistics.median(sum(run[stage]["cpu_ms"] for stage in ALONE) for run in runs)
    whole = statistics.median(run["together"]["cpu_ms"] for run in runs)
    if model.device == "cpu":
        efficiency = statistics.median(
            sum(run[stage]["cpu_ms"] for stage in ALONE) / 1000 * run["together"]["fps"] / available_cores()
            for run in runs
        )
    else:
        efficiency = statistics.median(
            run["together"]["fps"] / min(run["decode"]["fps"], run["encode"]["fps"]) for run in runs
        )
    return {
        "model": name, "size": size, "sampled_fps": arguments.fps, "batch_size": batch_size, **fps,
        "cpu_ms_alone": alone, "cpu_ms_together": whole, "efficiency": efficiency,
    }  # fmt: skip


def clocked(run: Callable[[], int]) -> dict[str, float]:
    """Frames per second, and CPU milliseconds per frame, of this process."""
    cpu, began = time.process_time(), time.perf_counter()
    count = run()
    seconds = time.perf_counter() - began
    return {"fps": count / seconds, "cpu_ms": (time.process_time() - cpu) / count * 1000}


def stage_inputs(
    model: ClipModel, path: Path, frames: FrameIndices, batch_size: int
) -> tuple[list[np.ndarray], torch.Tensor]:
    """A few decoded frames, and a batch made of them."""
    preprocess = model.preprocess
    with decode(path, np.unique(frames.indices)[:8]) as stream:
        pixels = [frame.rgb for frame in stream]
    prepared = preprocess.resize_crop(np.stack(pixels))
    return pixels, prepared[torch.arange(batch_size) % len(prepared)]


def decode_only(jobs: list[VideoJob], videos_at_once: int | None = None) -> int:
    """Frames decoded."""

    def frames_of(job: VideoJob) -> int:
        source, frames = job.plan()
        with decode(source, np.unique(frames.indices), threads=1) as stream:
            return sum(1 for _ in stream)

    with ThreadPoolExecutor(videos_at_once or available_cores()) as threads:
        return sum(threads.map(frames_of, jobs))


def preprocess_only(model: ClipModel, pixels: list[np.ndarray], count: int) -> int:
    """Frames resized and cropped on the CPU, as decoding threads do it: a message's worth after the other."""
    preprocess = model.preprocess

    def message(_: int) -> None:
        staging = CpuStaging(preprocess)
        for number in range(FRAMES_PER_MESSAGE):
            staging.add(pixels[number % len(pixels)])
        staging.take()

    messages = max(1, count // FRAMES_PER_MESSAGE)
    on_each_core(message, messages)
    return messages * FRAMES_PER_MESSAGE


def encode_only(model: ClipModel, batch: torch.Tensor, count: int) -> int:
    """Frames encoded."""
    preprocess = model.preprocess
    batches = max(1, count // len(batch))
    on_each_core(lambda _: model.encode_images(preprocess.normalise(batch, model.device)).cpu(), batches)
    return batches * len(batch)


def on_each_core(work: Callable[[int], object], count: int) -> None:
    """Call ``work`` with each number below ``count``, a thread for each core, in each of which torch uses one."""
    with ThreadPoolExecutor(available_cores(), initializer=torch.set_num_threads, initargs=(1,)) as threads:
        list(threads.map(work, range(count)))


def together(jobs: list[VideoJob], models: list[ClipModel], options: PipelineOptions) -> int:
    """Frames that went through the pipeline."""
    count = 0
    for result in extract_features(jobs, models, options):
        assert isinstance(result, Extracted), result.error
        count += len(result.features.clip)
    return count


def table(rows: list[dict[str, object]]) -> str:
    """The rows as a Markdown table: stages in frames per second, and the CPU time of a frame."""
    lines = [
        "| model | size | frames | decode | preprocess | encode | together | CPU ms alone | together | efficiency |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        stages = " | ".join(f"{row[stage]:.0f}" for stage in (*ALONE, "together"))
        sampled = f"{row['sampled_fps']:g} fps" if row["sampled_fps"] else "all"
        cpu = f"{row['cpu_ms_alone']:.2f} | {row['cpu_ms_together']:.2f}"
        lines.append(f"| {row['model']} | {row['size']} | {sampled} | {stages} | {cpu} | {row['efficiency']:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
