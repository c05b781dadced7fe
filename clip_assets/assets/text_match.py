"""How well each sampled frame matches each of a few sentences."""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg
from pydantic import Field

from clip_assets.assets.common import GROUP, OWNERS, ForceConfig, want_each
from clip_assets.core.classes import default_texts
from clip_assets.core.errors import ClipAssetsError, ModelError
from clip_assets.core.matching import match_texts, stretches, text_parameters
from clip_assets.core.records import TextMatch
from clip_assets.io_managers import StoredResults
from clip_assets.partitions import videos_partitions
from clip_assets.resources import ClipModelResource
from clip_assets.settings import Settings
from clip_assets.work import Computed, Failed, Work

MAX_STRETCHES = 50
"""Rows of the table of stretches that a materialization shows."""

DESCRIPTION = """The probability that each sampled frame matches each sentence: softmax over the sentences of
logit scale times cosine. Needs no video and no image encoder: other sentences cost nothing but this step.

| array | shape | dtype | unit |
|---|---|---|---|
| `texts` | (N,) | str | the sentences, in the order given |
| `probabilities` | (T, N) | float64 | rows sum to 1 |
| `logits` | (T, N) | float64 | logit scale times cosine |
| `timestamps_ms` | (T,) | float64 | ms, the sample's time |
"""


def build_text_match(settings: Settings) -> dg.AssetsDefinition:
    """The asset; the deployment's sentences are the default of its run config."""

    class TextMatchConfig(ForceConfig):
        """Which sentences to match."""

        pred_texts: list[str] | None = Field(
            default=settings.pred_texts,
            description="Sentences; null: 'a photo of {class}' for the 400 Kinetics classes, or the demo model's own.",
        )

    @dg.asset(
        partitions_def=videos_partitions,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"numpy", "pytorch"},
        description=DESCRIPTION,
        backfill_policy=dg.BackfillPolicy.multi_run(settings.videos_per_run),
    )
    def text_match(
        context: dg.AssetExecutionContext,
        config: TextMatchConfig,
        clip_features: StoredResults,
        clip_model: ClipModelResource,
    ) -> dg.Output[Work]:
        texts = tuple(config.pred_texts or default_texts(clip_model.model_name))
        wanted, failed = want_each(
            context.partition_keys,
            lambda key: {**_of_this_model(key, clip_features, clip_model), **text_parameters(texts)},
        )

        def compute(keys: Sequence[str]) -> Generator[Computed | Failed]:
            model = clip_model.models()[0]
            text_features = model.encode_texts(texts)
            for key in keys:
                began = time.perf_counter()
                try:
                    features = clip_features[key]
                    match = match_texts(features.clip, text_features, model.logit_scale, texts, features.timestamps_ms)
                except ClipAssetsError as error:
                    yield Failed(key, error)
                else:
                    yield Computed(key, match, wanted[key], _summary(match, time.perf_counter() - began))

        return Work(wanted, failed, compute, describe=_describe, force=config.force).output()

    return text_match


def _of_this_model(key: str, clip_features: StoredResults, clip_model: ClipModelResource) -> Mapping[str, Any]:
    """What the stored features were made from, unless by another model than the one that encodes the sentences."""
    made, here = clip_features.parameters(key), clip_model.parameters()
    if made["weights_sha256"] != here["weights_sha256"]:
        raise ModelError(
            f"The features of {key!r} were made by {made['model_name']} (weights {made['weights_sha256'][:12]}), and "
            f"the sentences would be encoded by {here['model_name']} (weights {here['weights_sha256'][:12]}). "
            "Materialize clip_features again, or go back to that model."
        )
    return made


def _summary(match: TextMatch, seconds: float) -> Mapping[str, Any]:
    found = stretches(match)
    return {
        "frames": len(match.timestamps_ms),
        "texts": len(match.texts),
        "stretches": [asdict(stretch) for stretch in found[:MAX_STRETCHES]],
        "stretch_count": len(found),
        "seconds": seconds,
    }


def _describe(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    rows = [dg.TableRecord(stretch) for stretch in summary["stretches"]]
    return {**summary, "stretches": dg.MetadataValue.table(rows)}
