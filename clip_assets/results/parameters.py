"""What the stored bytes of each asset depend on: composed here and nowhere else, for assets, `status` and `extract`.

Parameters are plain JSON values by name. Their digest is a result's data version, and they are stored beside it, so
that a result says in words what it was made with. The version of an algorithm is a parameter that ends in ``_version``.

Features depend on the frames that were chosen, not on how: a digest of the frames stands in their parameters, and no
version of the sampling. So where sampling is mended, what comes out the same stays. Features of before there was such
a digest lack it, and keep their parameters where their own frames and times are those that are chosen today.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clip_assets.core.digests import digest
from clip_assets.core.errors import ModelError, StoreError
from clip_assets.core.matching import text_parameters
from clip_assets.core.pipeline.decoding import PipelineOptions
from clip_assets.core.records import ClipFeatures, FrameIndices
from clip_assets.core.sampling import SAMPLING_VERSION, Sampling
from clip_assets.core.store.formats import encode_record
from clip_assets.core.store.manifest import Manifest
from clip_assets.default_texts import default_texts
from clip_assets.models import family_of, model_sha256
from clip_assets.results.summaries import FeatureSummary, FrameSummary
from clip_assets.settings import LibrarySettings

if TYPE_CHECKING:
    from clip_assets.core.store import Store

Parameters = dict[str, Any]

FROM_FRAMES = ("frames_sha256", "treatment")
"""Parameters that features take from the frames that were chosen."""

_FRAME_FIELDS = ("indices", "timestamps_ms", "source_timestamps_ms", "fps")
_ABSENT = object()


@dataclass(frozen=True)
class Unknown:
    """A parameter that can't be had, in its place among those that are wanted; equal to nothing that is stored.

    Attributes:
        reason: Why.
    """

    reason: str


def frame_parameters(source: str | Unknown, sampling: Sampling) -> Parameters:
    """What frame indices depend on: the video's fingerprint, the sampling, and its version."""
    return {"source": source, **sampling.parameters}


def encoding_parameters(model: Mapping[str, Any], options: PipelineOptions) -> Parameters:
    """What encoding depends on: the model, its weights and precision, the decoder, damage and preprocessing."""
    preprocessing = family_of(model["model_name"]).preprocessing
    return {**model, **options.parameters, "preprocessing": preprocessing}


def feature_parameters(sampled: Mapping[str, Any], encoding: Mapping[str, Any]) -> Parameters:
    """What features depend on as far as it is known without the frames; `of_frames` adds these.

    Args:
        sampled: Those of the frame indices.
        encoding: As `encoding_parameters` gives them.
    """
    return {**{name: value for name, value in sampled.items() if name != "sampling_version"}, **encoding}


def of_frames(features: Parameters, chosen: FrameSummary, stored: Manifest | None, store: Store) -> Parameters:
    """The parameters of features, with what they take from the frames that were chosen.

    Args:
        features: As `feature_parameters` gives them.
        chosen: Of the frame indices; where it doesn't tell its frames, as of version 1, nothing is added.
        stored: The features that are there; None: none. Where they were made with ``features`` alone, of these very
            frames, of a whole video and of its pictures as they are, nothing is added: they are what is wanted.
        store: Where they are. They are read only if they are a pickle and were made with ``features`` alone.
    """
    content = frame_content(chosen.frames_sha256, chosen.treatment)
    if content.get("frames_sha256") is None:
        return features
    if stored is not None and stored.parameters == features and _were_made_of(content, stored, store):
        return features
    return {**features, **content}


def frame_content(sha256: str | None, treatment: Mapping[str, Any] | None) -> Parameters:
    """What features take from chosen frames: their digest, and what is done to their pictures, if anything is."""
    return {"frames_sha256": sha256, **({"treatment": dict(treatment)} if treatment else {})}


def match_parameters(features: Mapping[str, Any], texts: Mapping[str, Any]) -> Parameters:
    """What a match depends on: all that the features do, and the sentences, as `text_parameters` gives them."""
    return {**features, **texts}


def frames_sha256(record: FrameIndices | ClipFeatures) -> str:
    """Digest of which frames of a video these are, of their times and of the video's rate.

    It is the digest of the SHA-256 of their arrays as ``.npy`` files, so that manifests tell it too.
    """
    _, files = encode_record(record, "numpy", "")
    return digest({name: hashlib.sha256(files[f"{name}.npy"]).hexdigest() for name in _FRAME_FIELDS})


def is_outdated(sampled: Mapping[str, Any]) -> bool:
    """Whether frame indices with these parameters were chosen by another version of the sampling."""
    return bool(sampled.get("sampling_version", 1) != SAMPLING_VERSION)


def differences(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By parameter what a result was made with and what is wanted, None where one of them doesn't tell.

    Where there are none, the result is the one that is wanted: for whoever shows states and for the run.
    """
    if made == wanted:
        return {}
    names = {**wanted, **made}
    return {
        name: (made.get(name), wanted.get(name))
        for name in names
        if made.get(name, _ABSENT) != wanted.get(name, _ABSENT)
    }


def model_parameters(settings: LibrarySettings, precision: str) -> Parameters:
    """What encoding depends on in the settings' model; a checkpoint that isn't there makes its digest `Unknown`.

    Args:
        settings: The deployment's.
        precision: The model's number format; settings may leave it to the device.
    """
    sha256: str | Unknown
    try:
        sha256 = model_sha256(settings.model_name, settings.custom_checkpoint)
    except ModelError as error:  # no reason for the UI not to open
        sha256 = Unknown(str(error))
    return {"model_name": settings.model_name, "weights_sha256": sha256, "precision": precision}


def wanted_texts(settings: LibrarySettings) -> Parameters:
    """What a match depends on in the sentences that the settings ask for."""
    return text_parameters(settings.pred_texts or default_texts(settings.model_name))


def _were_made_of(content: Parameters, stored: Manifest, store: Store) -> bool:
    """Whether features that don't tell it were made of these frames, with nothing missing and nothing done to them."""
    if "treatment" in content or FeatureSummary.read(stored.summary).damage != "none":
        return False
    if stored.format == "numpy":
        told = digest({name: stored.files[f"{name}.npy"].sha256 for name in _FRAME_FIELDS})
    else:
        try:
            told = frames_sha256(store.read(stored.asset, stored.partition_key, ClipFeatures))
        except StoreError:
            return False
    return bool(told == content["frames_sha256"])
