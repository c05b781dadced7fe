"""What a step tells when it fails: written into the failure's metadata where it fails, read where runs are mended."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import dagster as dg

from clip_assets.advice import PLATFORM, explain
from clip_assets.core.errors import ClipAssetsError, VideoNotFetchedError
from clip_assets.core.library.signatures import Signature
from clip_assets.results.failure import Attempt, Failure

_FAILED = "failed"
_ATTEMPT = "attempt"
_SHARED = "every_video_s_fault"


def videos_failed(failed: Mapping[str, Exception], of: int, stopped: bool, attempt: Attempt) -> dg.Failure:
    """The failure of a step some of whose videos failed: it names each with its reason.

    Args:
        failed: Why, by partition key; of one that is alone the reason comes first.
        of: How many partitions the step has.
        stopped: Whether it was stopped before all were done.
        attempt: With what they were tried.
    """
    told = {key: explain(error, PLATFORM) for key, error in failed.items()}
    signatures = attempt.signatures.items()
    tried = replace(attempt, signatures={key: _tried(failed[key], seen) for key, seen in signatures if key in failed})
    reasons = [f"{key}: {reason}" for key, reason in told.items()]
    if of > 1:
        others = "then the run was stopped" if stopped else "the others are stored"
        reasons.insert(0, f"{len(failed)} of {of} videos failed; {others}.")
    return dg.Failure(
        description="\n".join(reasons),
        metadata={_FAILED: dg.MetadataValue.json(told), _ATTEMPT: dg.MetadataValue.json(asdict(tried))},
        allow_retries=False,
    )


@contextmanager
def every_video_s_fault() -> Iterator[None]:
    """What an asset does for all its videos together: an error of ours in here is one that each would meet alone too.

    Raises:
        dagster.Failure: Such an error, marked as shared.
    """
    try:
        yield
    except ClipAssetsError as error:
        raise all_failed(error) from error


def all_failed(error: Exception) -> dg.Failure:
    """The failure of a step for a reason that each of its videos would meet alone too."""
    metadata = {_SHARED: dg.MetadataValue.bool(True)}
    return dg.Failure(description=explain(error, PLATFORM), metadata=metadata, allow_retries=False)


def failed_videos(step_failures: Iterable[dg.DagsterEvent]) -> dict[str, Failure]:
    """The partition keys that failed in steps of a run, with their reasons."""
    failed: dict[str, Failure] = {}
    for event in step_failures:
        attempt = _attempt(_json(event, _ATTEMPT))
        failed.update({key: Failure(key, reason, attempt) for key, reason in _json(event, _FAILED).items()})
    return failed


def is_every_video_s_fault(step_failures: Iterable[dg.DagsterEvent]) -> bool:
    """Whether a step failed for a reason that each of its videos would meet alone too."""
    return any(_SHARED in _told(event) for event in step_failures)


def was_interrupted(step_failure: dg.DagsterEvent) -> bool:
    """Whether a step failed because its process was told to end, for which no video is at fault."""
    source = step_failure.step_failure_data.error_source
    return source is not None and source.value == "INTERRUPT"


def reason(step_failures: Iterable[dg.DagsterEvent]) -> str:
    """Why the first of these steps failed, in words; empty where nobody knows."""
    for event in step_failures:
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            return data.user_failure_data.description
        error = data.error
        while error and error.cause:
            error = error.cause
        if error:
            return error.message.strip()
    return ""


def _tried(error: Exception, seen: Signature | None) -> Signature | None:
    """The file that was tried; none where nobody came to it: the next attempt may."""
    return None if isinstance(error, VideoNotFetchedError) else seen


def _attempt(told: Mapping[str, Any]) -> Attempt | None:
    """What `videos_failed` recorded; None for what an earlier version did."""
    if told.keys() != {"asset", "settings", "signatures"}:
        return None
    signatures = {key: tuple(seen) if seen else None for key, seen in told["signatures"].items()}
    return Attempt(told["asset"], told["settings"], signatures)


def _json(event: dg.DagsterEvent, name: str) -> Mapping[str, Any]:
    value = _told(event).get(name)
    return value.data if isinstance(value, dg.JsonMetadataValue) and isinstance(value.data, Mapping) else {}


def _told(event: dg.DagsterEvent) -> Mapping[str, dg.MetadataValue]:
    told = event.step_failure_data.user_failure_data
    return told.metadata if told else {}
