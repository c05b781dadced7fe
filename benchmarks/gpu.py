"""CLIP on CUDA GPUs: the encoder against the device's peak, and the pipeline against the encoder and the decoder.

    python benchmarks/gpu.py [--models ViT-B/32 ...] [--precisions fp16 bf16 fp32] [--batch-sizes 64 256 ...] [--json]

Needs a CUDA GPU, this package's dependencies for extraction (torch, clip-anytorch, PyAV, numpy), and no Dagster.

- encode: images/s of the encoder alone, by precision and batch size; its floating-point operations, counted by torch,
  as a share of what a large matrix product reaches on this device, and of the peak that its maker states.
- candidates: what else could make the encoder faster, at its best batch size: the other
  memory format, a CUDA graph, `torch.compile` (``--compile``; minutes a model); and images/s that an upload alone
  allows, from pageable and from pinned memory.
- memory: the pipeline on frames that are decoded already; efficiency is its frames/s over the encoder's.
- files: the pipeline on 1080p videos, all frames and one a second; efficiency is its frames/s over the slower of
  encoder and decoder, the latter at the best of several numbers of videos decoded at once.

The last two on one GPU and on all. ``--devices cpu`` tries the script where there is no GPU.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from clip_assets.core.cores import available_cores
from clip_assets.core.model.clip_model import ClipModel
from clip_assets.core.pipeline import decoding
from clip_assets.core.pipeline.decoding import PipelineOptions, VideoJob
from clip_assets.core.records import VideoProbe
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.video import DecodedFrame, probe
from pipeline import ARCHITECTURES, clocked, decode_only, random_model, together
from videos import video

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}

STATED_TFLOPS = {"H100": 989.4, "H200": 989.4, "A100": 312.0, "L40S": 362.0, "L4": 121.0, "T4": 65.0}
"""Dense fp16 peak by a part of the device's name, of the SXM board where there are several, from its data sheet."""

RUNS = 5
DECODED = 32
"""Frames that are decoded once, and given to the pipeline over and over."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[*ARCHITECTURES, "demo"], choices=[*ARCHITECTURES, "demo"])
    parser.add_argument("--precisions", nargs="+", default=["fp16", "bf16"], choices=DTYPES)
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[32, 64, 128, 256, 512, 1024])
    parser.add_argument("--seconds", type=int, default=20, help="length of each video")
    parser.add_argument("--videos", type=int, default=8, help="videos per run and GPU")
    parser.add_argument("--devices", nargs="+", default=[f"cuda:{n}" for n in range(torch.cuda.device_count())])
    parser.add_argument("--compile", action="store_true", help="torch.compile among the candidates")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not arguments.devices:
        parser.error("there is no CUDA GPU here")
    folder = Path(tempfile.gettempdir()) / "clip_assets_benchmark"
    device = arguments.devices[0]
    peaks = {precision: matrix_tflops(device, DTYPES[precision]) for precision in arguments.precisions}
    encoding = []
    candidates = []
    pipelines = []
    for name in arguments.models:
        for precision in arguments.precisions:
            model = random_model(name, folder, device, precision)
            rows = [encode_row(model, name, size, peaks[precision]) for size in arguments.batch_sizes]
            encoding += rows
            if precision == arguments.precisions[0]:
                best = max(rows, key=lambda row: row["images_per_second"])
                candidates += candidate_rows(model, name, best["batch_size"], arguments.compile)
                counts = sorted({1, len(arguments.devices)})
                pipelines += [
                    pipeline_row(name, folder, best, arguments.devices[:n], arguments, fps)
                    for n in counts
                    for fps in (None, 1.0)
                ]
    result = {
        "device": device_name(device), "devices": len(arguments.devices), "torch": torch.__version__,
        "cores": available_cores(), "matrix_tflops": peaks, "encode": encoding, "candidates": candidates,
        "pipeline": pipelines,
    }  # fmt: skip
    print(json.dumps(result, indent=1) if arguments.json else report(result))


def device_name(device: str) -> str:
    """As its maker calls it."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def matrix_tflops(device: str, dtype: torch.dtype) -> float:
    """What a large matrix product reaches, in 10^12 operations per second."""
    size = 8192 if device.startswith("cuda") else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / seconds_per_call(lambda: a @ b, device) / 1e12


def seconds_per_call(work: Callable[[], object], device: str, least_seconds: float = 0.5) -> float:
    """Median of the runs, each of so many calls that it lasts; the device is waited for at the end of each run."""

    def run(calls: int) -> float:
        synchronize(device)
        began = time.perf_counter()
        for _ in range(calls):
            work()
        synchronize(device)
        return time.perf_counter() - began

    run(3)  # warm-up
    calls = max(1, round(least_seconds / run(1)))
    return statistics.median(run(calls) for _ in range(RUNS)) / calls


def synchronize(device: str) -> None:
    """Wait until a GPU has done all it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def encode_row(model: ClipModel, name: str, batch_size: int, matrix_tflops: float) -> dict[str, object]:
    """The encoder alone, on a batch that is on the device and normalised."""
    resolution = model.preprocess.resolution
    batch = torch.randn(batch_size, 3, resolution, resolution, device=model.device, dtype=model.network.dtype)
    images = batch_size / seconds_per_call(lambda: model.encode_images(batch), model.device)
    tflops = images * model.image_flops / 1e12
    stated = [peak for part, peak in STATED_TFLOPS.items() if part in device_name(model.device).split()]
    return {
        "model": name, "precision": model.precision, "batch_size": batch_size, "images_per_second": images,
        "tflops": tflops, "share_of_matrix": tflops / matrix_tflops,
        "share_of_stated": tflops / stated[0] if stated and model.precision != "fp32" else None,
    }  # fmt: skip


def candidate_rows(model: ClipModel, name: str, batch_size: int, compiled: bool) -> list[dict[str, object]]:
    """The encoder as it is and in other ways; then what uploading uint8 pictures allows."""
    side, device = model.preprocess.resolution, model.device
    batch = torch.randn(batch_size, 3, side, side, device=device, dtype=model.network.dtype)
    last = torch.channels_last
    other = copy.deepcopy(model.network)
    is_last = model.network.visual.conv1.weight.is_contiguous(memory_format=last)
    other.visual.to(memory_format=torch.contiguous_format if is_last else last)
    other_batch = batch if is_last else batch.contiguous(memory_format=last)
    ways = {
        "as it is": lambda: model.encode_images(batch),
        "channels first" if is_last else "channels last": lambda: other.encode_image(other_batch),
    }
    if device.startswith("cuda"):
        ways["CUDA graph"] = graph_of(lambda: model.encode_images(batch), device)
    if compiled:
        ways["torch.compile"] = partial(torch.compile(copy.deepcopy(model.network).encode_image), batch)
    pictures = torch.zeros(batch_size, 3, side, side, dtype=torch.uint8)
    ways["upload, pageable"] = lambda: pictures.to(device, copy=True)
    if device.startswith("cuda"):
        pinned = pictures.pin_memory()
        ways["upload, pinned"] = lambda: pinned.to(device, non_blocking=True)
    with torch.inference_mode():
        return [
            {"model": name, "way": way, "images_per_second": batch_size / seconds_per_call(call, device)}
            for way, call in ways.items()
        ]


def graph_of(work: Callable[[], object], device: str) -> Callable[[], object]:
    """Replays what ``work`` does on a GPU, recorded once."""
    with torch.cuda.device(device), torch.inference_mode():
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                work()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
    return graph.replay


def pipeline_row(
    name: str,
    folder: Path,
    best: dict[str, object],
    devices: list[str],
    arguments: argparse.Namespace,
    fps: float | None,
) -> dict[str, object]:
    """The whole pipeline at the encoder's best batch size, on frames in memory and on files."""
    path = video(folder, "1080p", arguments.seconds)
    source = probe(path)
    with decoding.decode(source, np.arange(min(DECODED, source.frame_count))) as stream:
        decoded = [frame.rgb for frame in stream]
    frames = sample(source, Sampling(extraction_fps=fps))
    jobs = [VideoJob(str(number), lambda: (source, frames)) for number in range(len(devices) * arguments.videos)]
    models = [random_model(name, folder, device, best["precision"]) for device in devices]
    whole = partial(together, jobs, models, PipelineOptions(batch_size=best["batch_size"]))
    with mock.patch.object(decoding, "decode", lambda _, indices, **__: FramesInMemory(source, decoded, indices)):
        memory = median_fps(whole)
    encoder = len(devices) * best["images_per_second"]
    cores = available_cores()
    decoder = max(median_fps(partial(decode_only, jobs, at_once)) for at_once in (cores, 2 * cores))
    files = median_fps(whole)
    return {
        "model": name, "devices": len(devices), "sampled_fps": fps, "batch_size": best["batch_size"],
        "encoder": encoder, "decoder": decoder, "memory": memory, "memory_efficiency": memory / encoder,
        "files": files, "files_efficiency": files / min(encoder, decoder),
    }  # fmt: skip


class FramesInMemory:
    """Stands for a stream of decoded frames, of which it has but a few that it repeats."""

    damage = ""

    def __init__(self, probe: VideoProbe, decoded: list[np.ndarray], indices: np.ndarray) -> None:
        self.probe = probe
        self._decoded = decoded
        self._indices = indices

    def __enter__(self) -> Iterator[DecodedFrame]:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[DecodedFrame]:
        return (DecodedFrame(index, self._decoded[index % len(self._decoded)]) for index in self._indices.tolist())


def median_fps(run: Callable[[], int]) -> float:
    """Frames per second, after a warm-up."""
    run()
    return statistics.median(clocked(run)["fps"] for _ in range(RUNS))


def report(result: dict[str, object]) -> str:
    """The measurements as Markdown."""
    peaks = ", ".join(f"{tflops:.1f} in {precision}" for precision, tflops in result["matrix_tflops"].items())
    lines = [
        f"{result['devices']} x {result['device']}, {result['cores']} cores, torch {result['torch']}; "
        f"matrix product, TFLOP/s: {peaks}",
        "",
        "| model | precision | batch | images/s | TFLOP/s | of matrix product | of stated peak |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["encode"]:
        stated = f"{row['share_of_stated']:.0%}" if row["share_of_stated"] is not None else "-"
        lines.append(
            f"| {row['model']} | {row['precision']} | {row['batch_size']} | {row['images_per_second']:.0f} | "
            f"{row['tflops']:.2f} | {row['share_of_matrix']:.0%} | {stated} |"
        )
    lines += [
        "",
        "| model | way | images/s |",
        "|---|---|---|",
        *(f"| {row['model']} | {row['way']} | {row['images_per_second']:.0f} |" for row in result["candidates"]),
        "",
        "| model | GPUs | frames | batch | encoder | decoder | from memory | efficiency | from files | efficiency |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['model']} | {row['devices']} | {'1 fps' if row['sampled_fps'] else 'all'} | {row['batch_size']} | "
        f"{row['encoder']:.0f} | {row['decoder']:.0f} | {row['memory']:.0f} | {row['memory_efficiency']:.2f} | "
        f"{row['files']:.0f} | {row['files_efficiency']:.2f} |"
        for row in result["pipeline"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
