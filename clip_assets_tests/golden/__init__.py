"""Results as an earlier version stored them, and `make.py`, which made them."""

from pathlib import Path
from typing import Literal

from clip_assets.settings import Settings

VIDEOS = Path(__file__).parent / "videos"
OUTPUT = Path(__file__).parent / "output"

FORMATS: dict[str, Literal["numpy", "pickle"]] = {
    "plain.mp4": "numpy",
    "pickled.mp4": "pickle",
    "wide_pixels.mp4": "numpy",
    "jump.ts": "numpy",
    "torn.mp4": "numpy",
}
"""The format in which each video's results are stored."""


def golden_settings(videos: Path, output: Path, form: Literal["numpy", "pickle"] = "numpy") -> Settings:
    """The deployment's settings: every frame, the demo model, damaged videos kept, no pictures."""
    return Settings(
        videos=videos,
        output=str(output),
        format=form,
        model_name="demo",
        device_ids="cpu",
        precision="fp32",
        on_damage="keep",
        pictures="off",
        pred_texts=["a photo of a red circle", "a photo of a blue square"],
    )
