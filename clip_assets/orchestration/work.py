"""What an asset hands to its IO manager: not results, but the work that makes them.

Dagster calls the IO manager only after the asset has returned, so a dictionary of results would neither stream nor
survive a failure. Instead the asset says, for each partition, what its bytes depend on, and how to compute a set of
partitions as a stream; the IO manager asks the store what is there already and stores the rest as it comes.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from clip_assets.core.digests import digest
from clip_assets.core.library.signatures import Signature
from clip_assets.core.picture import Picture
from clip_assets.core.records import Record, SourceStat
from clip_assets.orchestration.failures import every_video_s_fault
from clip_assets.orchestration.run_progress import Progress


@dataclass(frozen=True, eq=False)
class Computed:
    """A partition's result, to be stored.

    Attributes:
        key: The partition's key.
        record: The result.
        parameters: What the record's bytes depend on, as plain JSON values.
        summary: What to show of it, as plain JSON values; stored beside it.
        pictures: What to look at; stored beside it.
        source_stat: The video's file as it was when its fingerprint was taken; None where no file was read.
    """

    key: str
    record: Record
    parameters: Mapping[str, Any]
    summary: Mapping[str, Any]
    pictures: Sequence[Picture] = ()
    source_stat: SourceStat | None = None


@dataclass(frozen=True, eq=False)
class Failed:
    """A partition for which there is no result, and why."""

    key: str
    error: Exception


@dataclass(frozen=True, eq=False)
class Work:
    """A description of the results that an asset wants stored.

    Attributes:
        wanted: For each partition key the parameters that its bytes depend on, as plain JSON values.
        failed: Partitions that can't even be described, and why.
        compute: Computes a set of partitions; yields one outcome for each, as each is done.
        describe: Dagster metadata made of a stored summary.
        force: Whether to compute what is stored already.
        frames: How many frames a set of partitions has to encode; 0 where none are.
        exclusively: Holds what computing needs for this process alone; gives whether others had to be waited for.
        signatures: Of the videos that are read, what another file would alter, by partition key; as
            `VideoLibrary.signatures` gives it before any is read. Where one fails, it is recorded.
    """

    wanted: Mapping[str, Mapping[str, Any]]
    failed: Mapping[str, Exception]
    compute: Callable[[Sequence[str], Progress], Generator[Computed | Failed]]
    describe: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    force: bool = False
    frames: Callable[[Sequence[str]], int] = lambda keys: 0
    exclusively: Callable[[], AbstractContextManager[bool]] = lambda: nullcontext(False)
    signatures: Mapping[str, Signature | None] = field(default_factory=dict)

    def outcomes(self, keys: Sequence[str], write: Callable[[str], object]) -> Generator[Computed | Failed]:
        """What `compute` yields for these partitions; where there are none, it isn't begun: it may load a model.

        Args:
            keys: The partitions.
            write: Takes lines that say how far it is.

        Raises:
            dagster.Failure: What is needed for every video can't be had.
        """
        if not keys:
            return
        progress = Progress(write, len(keys), self.frames(keys))
        with every_video_s_fault(), closing(self.compute(keys, progress)) as outcomes:
            for outcome in outcomes:
                yield outcome
                progress.add_video()

    def output(self) -> dg.Output["Work"]:
        """The work as the asset's output.

        Its data version is that of the one partition, or a digest over all: Dagster has one version per output.
        """
        versions = {key: digest(parameters) for key, parameters in self.wanted.items()}
        version = next(iter(versions.values())) if len(versions) == 1 else digest(versions)
        return dg.Output(self, data_version=dg.DataVersion(version))
