"""Results as an earlier version stored them, and the script that made them."""

from pathlib import Path

VIDEOS = Path(__file__).parent / "videos"
OUTPUT = Path(__file__).parent / "output"
