"""What a step tells when it fails: written into the failure's metadata where it fails, read where runs are mended."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from clip_assets.advice import PLATFORM, explain
from clip_assets.core.errors import ClipAssetsError

_FAILED = "failed"
_SHARED = "every_video_s_fault"


def videos_failed(failed: Mapping[str, Exception], of: int) -> dg.Failure:
    """The failure of a step some of whose videos failed: it names each with its reason.

    Args:
        failed: Why, by partition key; of one that is alone the reason comes first.
        of: How many partitions the step has.
    """
    told = {key: explain(error, PLATFORM) for key, error in failed.items()}
    reasons = [f"{key}: {reason}" for key, reason in told.items()]
    if of > 1:
        reasons.insert(0, f"{len(failed)} of {of} videos failed; the others are stored.")
    return dg.Failure(
        description="\n".join(reasons),
        metadata={_FAILED: dg.MetadataValue.json(told)},
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
        metadata = {_SHARED: dg.MetadataValue.bool(True)}
        raise dg.Failure(description=explain(error, PLATFORM), metadata=metadata, allow_retries=False) from error


def failed_videos(step_failures: Iterable[dg.DagsterEvent]) -> dict[str, str]:
    """The partition keys that failed in steps of a run, with their reasons."""
    failed: dict[str, str] = {}
    for event in step_failures:
        reasons = _told(event).get(_FAILED)
        if isinstance(reasons, dg.JsonMetadataValue) and isinstance(reasons.data, Mapping):
            failed.update(reasons.data)
    return failed


def is_every_video_s_fault(step_failures: Iterable[dg.DagsterEvent]) -> bool:
    """Whether a step failed for a reason that each of its videos would meet alone too."""
    return any(_SHARED in _told(event) for event in step_failures)


def _told(event: dg.DagsterEvent) -> Mapping[str, dg.MetadataValue]:
    told = event.step_failure_data.user_failure_data
    return told.metadata if told else {}
