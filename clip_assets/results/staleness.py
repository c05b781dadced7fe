"""Why a stored result isn't what the settings ask for, in the words of a user."""

from collections.abc import Mapping
from typing import Any

from clip_assets.results.parameters import FROM_FRAMES, Unknown

Differing = Mapping[str, tuple[Any, Any]]
"""By parameter what a result was made with, and what is wanted."""

_OF_THE_MODEL = ("weights_sha256", "preprocessing", "same_shot_cosine")
"""What is no news where the model is another."""

_SAMPLED = ("extraction_fps", "extraction_total")
_OTHER_FRAMES = ("source", *_SAMPLED, "frame_selection", "sampling_version")
"""What makes it no news that other frames are chosen."""

_OTHER_VERSION = "made by another version of clip_assets"
"""Also of each parameter that ends in ``_version``."""

_WORDS = {
    "source": "the video has changed",
    "weights_sha256": "made with other weights",
    "texts": "other sentences",
    "texts_sha256": "other sentences",
    "frame_selection": "frames chosen as {made}, now {wanted}",
    "precision": "computed in {made}, now {wanted}",
    "decoder": "decoded with {made}, now {wanted}",
    "on_damage": "made with on_damage={made}, now {wanted}",
    **dict.fromkeys(FROM_FRAMES, "other frames or times are chosen"),
    **dict.fromkeys(("preprocessing", "same_shot_cosine", "max_shot_rows"), _OTHER_VERSION),
}


def in_words(differing: Differing) -> list[str]:
    """The reasons, each once, the most general first; whatever follows from another isn't told."""
    left = dict(differing)
    words = [wanted.reason for _, wanted in left.values() if isinstance(wanted, Unknown)]
    left = {name: pair for name, pair in left.items() if not isinstance(pair[1], Unknown)}
    if "model_name" in left:
        made, wanted = left.pop("model_name")
        words.append(f"made with {made}, now {wanted}")
        left = {name: pair for name, pair in left.items() if name not in _OF_THE_MODEL}
    if any(name in left for name in _SAMPLED):
        pairs = [left.pop(name, (None, None)) for name in _SAMPLED]
        words.append("sampled {}, now {}".format(*(_sampling(*side) for side in zip(*pairs, strict=True))))
        left.pop("frame_selection", None)
    if any(name in differing for name in _OTHER_FRAMES):
        left = {name: pair for name, pair in left.items() if name not in FROM_FRAMES}
    words += [_words(name).format(name=name, made=made, wanted=wanted) for name, (made, wanted) in left.items()]
    return list(dict.fromkeys(words))


def _words(name: str) -> str:
    return _OTHER_VERSION if name.endswith("_version") else _WORDS.get(name, "{name} {made}, now {wanted}")


def _sampling(fps: float | None, total: int | None) -> str:
    if fps is not None:
        return f"at {fps:g} a second"
    return "every frame" if total is None else f"{total} a video"
