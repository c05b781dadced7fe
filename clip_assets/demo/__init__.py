"""The bundled demo: two tiny CLIPs that know coloured shapes, and clips that show them.

For demonstration and tests only; `MODEL_CARD.md` says what the first model knows, and `sigmoid/` holds the second one's
card. Nothing heavy is imported here.
"""

from importlib.resources import files
from pathlib import Path

COLOURS = ("red", "green", "blue", "yellow", "purple", "white", "black")
SHAPES = ("circle", "square", "triangle", "star", "cross")
TEMPLATES = (
    "a photo of a {colour} {shape}",
    "a {colour} {shape}",
    "{colour} {shape}",
    "a picture of a {colour} {shape}",
    "there is a {colour} {shape}",
)
"""The sentences' forms that the demo model was trained on; the first is its default."""

_FOLDER = Path(str(files(__name__)))

DEMO_MODELS = {"demo": _FOLDER / "shapes.pth", "open_clip:demo": _FOLDER / "sigmoid"}
"""The demo models by name: the file, or the folder, of each."""


def demo_sentences(template: str = TEMPLATES[0]) -> tuple[str, ...]:
    """Give every colour of every shape in one template, colour by colour, as `demo_classes` orders them."""
    return tuple(template.format(colour=colour, shape=shape) for colour, shape in demo_classes())


def demo_classes() -> tuple[tuple[str, str], ...]:
    """Give the (colour, shape) pairs that the demo model tells apart."""
    return tuple((colour, shape) for colour in COLOURS for shape in SHAPES)


def demo_checkpoint() -> Path:
    """Give the path of the demo model's weights: a state_dict in OpenAI's layout, float16."""
    return DEMO_MODELS["demo"]


def sigmoid_demo() -> Path:
    """Give the folder of the demo model in SigLIP's layout: configuration, float16 weights and tokenizer."""
    return DEMO_MODELS["open_clip:demo"]


def demo_clips() -> tuple[Path, ...]:
    """Give the paths of the bundled videos, sorted by name."""
    return tuple(sorted(_FOLDER.glob("*.mp4")))


def demo_environment() -> Path:
    """Give the path of the demo's settings, a file of environment variables."""
    return _FOLDER / "demo.env"
