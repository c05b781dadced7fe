"""The assets that each video has, a row for each: all that is asked of an asset outside of its own file.

Who goes through the assets (the store's readers, states, runs, pages) goes through these rows, in this order: each may
depend on those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clip_assets.core.records import ClipFeatures, FrameIndices, Record, Shots, TextMatch
from clip_assets.core.shots import shot_parameters
from clip_assets.core.store.manifest import Manifest
from clip_assets.models import same_shot_cosine
from clip_assets.results.parameters import Parameters, feature_parameters, match_parameters
from clip_assets.results.tables import Told, features_told, frames_told, match_told, shots_told


@dataclass(frozen=True)
class Wish:
    """What is wanted of a video, or of all by the settings alone.

    Attributes:
        sampled: The parameters of the frame indices.
        encoding: Those of encoding, see `encoding_parameters`.
        texts: Those of the sentences, see `text_parameters`.
        of_frames: Adds to the features' parameters what they take from the frames that were chosen, if these are there.
    """

    sampled: Parameters
    encoding: Parameters
    texts: Parameters
    of_frames: Callable[[Parameters], Parameters] = lambda features: features


@dataclass(frozen=True)
class PerVideoAsset:
    """An asset with a partition for each video.

    Attributes:
        name: As Dagster, the store and people know it; also of its module in ``orchestration/assets``.
        record: What it stores.
        parameters: What its bytes depend on, of a wish and of the parameters of the assets before it, by their names.
        tell: What a stored result says to people.
    """

    name: str
    record: type[Record]
    parameters: Callable[[Wish, Mapping[str, Parameters]], Parameters]
    tell: Callable[[Manifest], Told]


_ROWS = (
    PerVideoAsset("frame_indices", FrameIndices, lambda wish, above: wish.sampled, frames_told),
    PerVideoAsset(
        "clip_features",
        ClipFeatures,
        lambda wish, above: wish.of_frames(feature_parameters(above["frame_indices"], wish.encoding)),
        features_told,
    ),
    PerVideoAsset(
        "shots",
        Shots,
        lambda wish, above: shot_parameters(
            above["clip_features"], same_shot_cosine(above["clip_features"]["model_name"])
        ),
        shots_told,
    ),
    PerVideoAsset(
        "text_match", TextMatch, lambda wish, above: match_parameters(above["clip_features"], wish.texts), match_told
    ),
)

PER_VIDEO: Mapping[str, PerVideoAsset] = {row.name: row for row in _ROWS}
"""The rows by name."""


def wanted_parameters(wish: Wish) -> dict[str, Parameters]:
    """What the bytes of each asset depend on, by its name."""
    wanted: dict[str, Parameters] = {}
    for name, row in PER_VIDEO.items():
        wanted[name] = row.parameters(wish, wanted)
    return wanted
