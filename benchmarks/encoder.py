"""CLIP's image encoder on this CPU: each kernel, whole networks and the pipeline, as a share of what a core can do.

    python benchmarks/encoder.py [--models ViT-B/32 ViT-L/14 RN50] [--runs 5] [--bf16] [--frames 60] [--json]
                                 [--open-clip ViT-B-32 ViT-B-16-SigLIP]

All contenders take turns in one run, in one thread, clocked by that thread's CPU time, so that what else the machine
does matters little; figures are of one core.

- products: GFLOP/s of the matrix products that a ViT consists of, by torch's own choice (MKL) and by oneDNN. The best
  of all is taken for the core's peak.
- networks: pictures/s of OpenAI's code as it is, of ours with either library's kernels, and in bf16 (``--bf16``, or
  where the processor has it); of each the greatest difference to OpenAI's features, or the least cosine.
- open_clip: pictures/s of its architectures with random weights: by its own forward, and as `load_model` lets them
  compute, with either library's kernels.
- pipeline: CPU seconds of extracting ``--frames`` frames of a 480p video, with OpenAI's code and as `load_model` gives
  it, in pairs; with 0 frames it is left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from clip_assets.core.model.clip_model import ClipModel
from clip_assets.core.model.devices import default_batch_size
from clip_assets.core.model.kernels import has_bf16, onednn_kernels, processor, torch_kernels
from clip_assets.core.model.open_clip import work
from clip_assets.core.model.openai.cpu_network import compute_with
from clip_assets.core.pipeline.decoding import PipelineOptions, VideoJob
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.video import probe
from pipeline import ARCHITECTURES, random_model, together
from videos import video

# Rows, inputs, outputs: of a batch of ViT-B/32, of a picture of ViT-L/14, and a square one.
PRODUCTS = {
    "450 x 768 x 2304": (450, 768, 2304),
    "450 x 768 x 768": (450, 768, 768),
    "450 x 768 x 3072": (450, 768, 3072),
    "450 x 3072 x 768": (450, 3072, 768),
    "257 x 1024 x 4096": (257, 1024, 4096),
    "257 x 4096 x 1024": (257, 4096, 1024),
    "1024 x 1024 x 1024": (1024, 1024, 1024),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=[*ARCHITECTURES], choices=[*ARCHITECTURES, "demo"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bf16", action="store_true", help="also where the processor has no instructions for it")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--open-clip", nargs="*", default=[], help="architectures of open_clip's list")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(tempfile.gettempdir()) / "clip_assets_benchmark"
    bf16 = arguments.bf16 or has_bf16()
    with torch.inference_mode():
        products = [product_row(name, *shape, runs=arguments.runs, bf16=bf16) for name, shape in PRODUCTS.items()]
        peak = max(row[library] for row in products for library in ("torch", "oneDNN"))
        rows = [row for name in arguments.models for row in network_rows(name, folder, arguments.runs, bf16, peak)]
        rows += [row for name in arguments.open_clip for row in open_clip_rows(name, arguments.runs, peak)]
    pipelines = [pipeline_row(name, folder, arguments) for name in arguments.models if arguments.frames]
    result = {
        "processor": processor(), "torch": torch.__version__, "peak_gflops": peak,
        "products": products, "networks": rows, "pipeline": pipelines,
    }  # fmt: skip
    print(json.dumps(result, indent=1) if arguments.json else report(result))


def paired(contenders: Mapping[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """CPU seconds of each call, run by run; a call to warm up comes first."""
    for call in contenders.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, call in contenders.items():
            began = time.thread_time()
            call()
            seconds[name].append(time.thread_time() - began)
    return seconds


def product_row(name: str, rows: int, inputs: int, outputs: int, *, runs: int, bf16: bool) -> dict[str, object]:
    """GFLOP/s of a product with a bias, by each library; the best run, for a peak is what can be reached."""
    x, weight, bias = torch.randn(rows, inputs), torch.randn(outputs, inputs), torch.randn(outputs)
    contenders = {kernels.name: (kernels.linear, (x, weight, bias)) for kernels in (torch_kernels(), onednn_kernels())}
    if bf16:
        contenders["bf16"] = (torch_kernels().linear, tuple(value.bfloat16() for value in (x, weight, bias)))
    seconds = paired({name: lambda f=f, a=a: f(*a) for name, (f, a) in contenders.items()}, 4 * runs)
    operations = 2 * rows * inputs * outputs / 1e9
    return {"product": name, **{library: operations / min(values) for library, values in seconds.items()}}


def as_openai_has_it(model: ClipModel) -> ClipModel:
    """The model, computing by OpenAI's own code again."""
    for module in model.network.modules():
        vars(module).pop("forward", None)
    return model


def network_rows(name: str, folder: Path, runs: int, bf16: bool, peak: float) -> list[dict[str, object]]:
    """Pictures/s of the whole network, and how far its features are from OpenAI's."""
    models = {"OpenAI's code": as_openai_has_it(random_model(name, folder, "cpu", "fp32"))}
    for kernels in (torch_kernels(), onednn_kernels()):
        # Copies of the modules that share the first one's weights.
        model = random_model(name, folder, "cpu", "fp32")
        model.network.load_state_dict(models["OpenAI's code"].network.state_dict(), assign=True)
        compute_with(model.network, kernels)
        models[f"ours, {kernels.name}"] = model
    if bf16:
        models["ours, bf16"] = random_model(name, folder, "cpu", "bf16")
    first = models["OpenAI's code"]
    side = first.preprocess.resolution
    pictures = torch.randn(default_batch_size(["cpu"], first.image_flops), 3, side, side)
    encoders = {key: model.encode_images for key, model in models.items()}
    return _rows(name, encoders, pictures, first.image_flops, runs, peak)


def _rows(
    name: str,
    encoders: Mapping[str, Callable[[torch.Tensor], torch.Tensor]],
    pictures: torch.Tensor,
    image_flops: int,
    runs: int,
    peak: float,
) -> list[dict[str, object]]:
    """A row for each encoder of a network; the first is the family's own code, which the others are compared with."""
    own = next(iter(encoders))
    expected = encoders[own](pictures)
    seconds = paired({key: lambda e=encode: e(pictures) for key, encode in encoders.items()}, runs)
    rows = []
    for contender, values in seconds.items():
        features = encoders[contender](pictures)
        gflops = len(pictures) * image_flops / statistics.median(values) / 1e9
        rows.append({
            "model": name, "code": contender, "batch_size": len(pictures),
            "images_per_second": len(pictures) / statistics.median(values), "gflops": gflops, "share": gflops / peak,
            "times_as_fast": statistics.median(map(np.divide, seconds[own], values)),
            "difference": (features - expected).abs().max().item(),
            "cosine": torch.cosine_similarity(features, expected).min().item(),
        })  # fmt: skip
    return rows


def open_clip_rows(name: str, runs: int, peak: float) -> list[dict[str, object]]:
    """As `network_rows`, of one of open_clip's architectures."""
    import open_clip

    networks = {}
    for contender in ("open_clip's code", "ours, torch", "ours, oneDNN"):
        networks[contender] = open_clip.create_model(name, load_weights=False, pretrained_text=False).eval()
        networks[contender].load_state_dict(networks["open_clip's code"].state_dict(), assign=True)
    work.compute_with(networks["ours, torch"], torch_kernels())
    work.compute_with(networks["ours, oneDNN"], onednn_kernels())
    first = networks["open_clip's code"]
    side = first.visual.image_size if isinstance(first.visual.image_size, int) else first.visual.image_size[0]
    flops, _ = work.measured(first, torch.randn(1, 3, side, side))
    pictures = torch.randn(default_batch_size(["cpu"], flops), 3, side, side)
    encoders = {key: network.encode_image for key, network in networks.items()}
    return _rows(name, encoders, pictures, flops, runs, peak)


def pipeline_row(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """CPU seconds of the process for an extraction with OpenAI's code, and as it is; medians, and of their ratio."""
    path = video(folder, "480p", 20)
    source = probe(path)
    frames = sample(source, Sampling(extraction_total=arguments.frames))
    before, now = as_openai_has_it(random_model(name, folder, "cpu")), random_model(name, folder, "cpu")
    jobs = [VideoJob(str(number), lambda: (source, frames)) for number in range(2)]
    pairs = []
    for _ in range(max(1, arguments.runs // 2)):
        pair = []
        for model in (before, now):
            began = time.process_time()
            together(jobs, [model], PipelineOptions())
            pair.append(time.process_time() - began)
        pairs.append(pair)
    old, new = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(a / b for a, b in pairs)
    return {"model": name, "frames": 2 * arguments.frames, "before": old, "now": new, "times_as_fast": ratio}


def report(result: dict[str, object]) -> str:
    """The measurements as Markdown."""
    libraries = [name for name in result["products"][0] if name != "product"]
    lines = [
        f"{result['processor']}, torch {result['torch']}; a core's peak, by the best product: "
        f"{result['peak_gflops']:.0f} GFLOP/s",
        "",
        f"| product | {' | '.join(libraries)} |",
        "|---|" + "---|" * len(libraries),
    ]
    lines += [
        f"| {row['product']} | {' | '.join(f'{row[name]:.0f}' for name in libraries)} |" for row in result["products"]
    ]
    lines += [
        "",
        "| model | code | batch | images/s | GFLOP/s | of peak | times as fast | difference | cosine |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['model']} | {row['code']} | {row['batch_size']} | {row['images_per_second']:.2f} | "
        f"{row['gflops']:.0f} | {row['share']:.2f} | {row['times_as_fast']:.2f} | {row['difference']:.1e} | "
        f"{row['cosine']:.6f} |"
        for row in result["networks"]
    ]
    if result["pipeline"]:
        lines += ["", "| model | 480p frames | CPU s before | now | times as fast |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['model']} | {row['frames']} | {row['before']:.1f} | {row['now']:.1f} | {row['times_as_fast']:.2f} |"
        for row in result["pipeline"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
