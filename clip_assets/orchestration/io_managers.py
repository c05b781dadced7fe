"""Between assets and the store: what is stored already is recognised, the rest is computed and stored as it comes."""

from abc import abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr
from upath import UPath

from clip_assets.advice import PLATFORM, explain
from clip_assets.core.digests import digest
from clip_assets.core.errors import ResultMissingError, StoreError
from clip_assets.core.picture import Picture
from clip_assets.core.records import Record
from clip_assets.core.store.keys import escape_key
from clip_assets.core.store.manifest import MANIFEST_NAME, Format, Manifest
from clip_assets.core.store.refusals import is_out_of_room
from clip_assets.core.store.store import Store
from clip_assets.orchestration.dagster_internals import add_partition_metadata, keep_connections, provenance_tags
from clip_assets.orchestration.failures import all_failed, every_video_s_fault, videos_failed
from clip_assets.orchestration.run_liveness import Pulse, Sign, signs_folder
from clip_assets.orchestration.run_progress import follower
from clip_assets.orchestration.stored_metadata import stored_metadata
from clip_assets.orchestration.work import Computed, Failed, Work
from clip_assets.results.assets import PER_VIDEO
from clip_assets.results.failure import Attempt
from clip_assets.results.parameters import differences

REMEMBERED_BYTES = 256 * 2**20
"""Of results that aren't on a local disk, what a run reads and writes is remembered up to so many bytes."""


@dataclass(frozen=True)
class Stored:
    """What is stored of a partition by the end of a run.

    Attributes:
        manifest: Its description.
        is_new: Whether the run computed it; else it was there, as it is wanted.
    """

    manifest: Manifest
    is_new: bool


class StoredResults(Mapping[str, Any]):
    """Records of an asset's partitions by partition key, each read when it is asked for.

    An asset that annotates an input with this type gets all partitions of its run, however many. Any other input is
    as Dagster's `UPathIOManager` gives it: the record itself for one partition, a dictionary for several.
    """

    def __init__(self, store: Store, asset: str, keys: Sequence[str]) -> None:
        self._store = store
        self._asset = asset
        self._keys = dict.fromkeys(keys)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return self._store.read(self._asset, key, PER_VIDEO[self._asset].record)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def store(self) -> Store:
        """Where they are stored."""
        return self._store

    def parameters(self, key: str) -> Mapping[str, Any]:
        """What the stored bytes of a partition were made from.

        Raises:
            ResultMissingError: Nothing whole is stored for it.
        """
        return self.manifest(key).parameters

    def summary(self, key: str) -> Mapping[str, Any]:
        """What there is to show of a partition.

        Raises:
            ResultMissingError: Nothing whole is stored for it.
        """
        return self.manifest(key).summary

    def picture(self, key: str, file_name: str) -> Picture | None:
        """A picture that is stored beside a partition's result, shown or not; None where there is none.

        Raises:
            ResultMissingError: Nothing whole is stored for it.
            StoreError: The file can't be read.
        """
        return self._store.picture(self.manifest(key), file_name)

    def manifest(self, key: str) -> Manifest:
        """What is stored of a partition.

        Raises:
            ResultMissingError: Nothing whole is stored for it.
        """
        manifest = self._store.manifest(self._asset, key)
        if manifest is None:
            raise ResultMissingError(f"No {self._asset} is stored for {key!r}.")
        return manifest


class StoredBytes(StoredResults):
    """The same, read anew even where the run itself wrote it: for those who check what is stored."""


class StoreIOManager(dg.ConfigurableIOManager, dg.UPathIOManager):
    """Stores what a `Work` describes at ``<base_path>/<asset>/<partition key, escaped>/``."""

    _sign: Sign | None = PrivateAttr(default=None)
    _pulse: Pulse | None = PrivateAttr(default=None)
    _kept_store: Store | None = PrivateAttr(default=None)

    base_path: str = Field(description="Where results are stored: a folder, or any fsspec URL.")
    browse_url: str | None = Field(default=None, description="Address of the pages that show each video.")

    attempt_digests: dict[str, str] = Field(
        default={}, description="By asset a digest of the settings that may decide whether it fails for a video."
    )

    @property
    @abstractmethod
    def format(self) -> Format:
        """Of the results that are written; both formats are read."""

    @property
    def store(self) -> Store:
        """The store behind this manager, which remembers what a run reads and writes: nobody else changes it."""
        if self._kept_store is None:
            self._kept_store = Store(self.base_path, self.format, remembers=REMEMBERED_BYTES)
        return self._kept_store

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Tell `UPathIOManager` where its paths begin, and others that the run's process lives."""
        dg.UPathIOManager.__init__(self, base_path=self.store.root)
        if context.instance and context.run:
            keep_connections(context.instance)
            self._sign = Sign(signs_folder(context.instance, context.run.run_id))
            if not context.instance.is_ephemeral:  # which no other process knows
                self._pulse = Pulse.of(context.instance, context.run.run_id)
            follower().run_began(context.run.run_id)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Take the signs of life down."""
        if self._pulse:
            self._pulse.stop()
        if self._sign:
            self._sign.take_down()

    def make_safe_partition_path(self, base_path: UPath, partition: str) -> UPath:
        """The partition's folder: no key leaves ``base_path`` or shares the folder of another."""
        return base_path.joinpath(*escape_key(partition).split("/"))

    def get_asset_relative_path(self, context: dg.InputContext | dg.OutputContext) -> UPath:
        """The asset's folder: a library's prefix is for Dagster."""
        return UPath(_asset(context))

    def handle_output(  # type: ignore[override]  # Dagster takes a generator as well
        self, context: dg.OutputContext, obj: Work
    ) -> Iterator[dg.AssetMaterialization]:
        """Store what isn't stored yet, partition by partition.

        Dagster records nothing of a step that fails. So what is stored is recorded here before: the others of the batch
        are done in its eyes too. Of a step that succeeds Dagster makes the materializations itself.

        Raises:
            dagster.Failure: Partitions failed; names each with its reason. The others are stored and recorded, or as
                many as were done when the run was to stop. Or there is no room to store anything; what
                was stored before is recorded.
            dagster.DagsterExecutionInterruptedError: The run was to stop, and nothing failed.
        """
        if not isinstance(obj, Work):
            raise TypeError(f"{type(self).__name__} stores what a Work describes, and got a {type(obj).__name__}.")
        if self._is_to_stop():  # during a step that this one needn't wait for
            raise dg.DagsterExecutionInterruptedError("Stopped before it began.")
        stored: list[Stored] = []
        failed: dict[str, Exception] = {}
        stopped = False
        no_room: Exception | None = None
        with closing(self._outcomes(context, obj)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, Failed) and is_out_of_room(outcome.error):
                    no_room = outcome.error
                    break
                if isinstance(outcome, Failed):
                    failed[outcome.key] = outcome.error
                    follower().failed(outcome.key, outcome.error)
                    context.log.error(f"{outcome.key}: {explain(outcome.error, PLATFORM)}")
                else:
                    stored.append(outcome)
                if stopped := self._is_to_stop():
                    break
        if not (failed or stopped or no_room):
            for result in stored:
                add_partition_metadata(context, result.manifest.partition_key, self._metadata(context, obj, result))
            return
        materializations = [self._materialization(context, obj, result) for result in stored]
        for materialization in materializations:
            context.log_event(materialization)
        yield from materializations[:1]  # Dagster takes up what was logged when something is yielded
        if stopped and not failed:
            raise dg.DagsterExecutionInterruptedError("Stopped; what is stored is recorded.")
        if no_room:
            raise all_failed(no_room) from no_room
        asset = _asset(context)
        attempt = Attempt(asset, self.attempt_digests.get(asset, ""), obj.signatures)
        raise videos_failed(failed, of=len(obj.wanted) + len(obj.failed), stopped=stopped, attempt=attempt)

    def _is_to_stop(self) -> bool:
        """Whether whoever follows the run stops it, or others took it for failed and have its videos."""
        return follower().is_to_stop() or (self._pulse is not None and self._pulse.is_over)

    def _outcomes(self, context: dg.OutputContext, work: Work) -> Generator[Stored | Failed]:
        """What comes of each partition: what is stored already first, then the others as they are computed.

        Whoever had to wait until nobody else computes looks again what is stored.
        """
        asset = _asset(context)
        yield from (Failed(key, error) for key, error in work.failed.items())
        missing = yield from self._recognised(asset, work, list(work.wanted))
        self._say(context, f"{len(work.wanted) - len(missing)} stored already, {len(missing)} to compute.")
        if not missing:
            return
        with ExitStack() as held:
            with every_video_s_fault():
                waited = held.enter_context(work.exclusively())
            if waited:
                missing = yield from self._recognised(asset, work, missing)
            outcomes = held.enter_context(closing(work.outcomes(missing, partial(self._say, context))))
            for outcome in outcomes:
                yield outcome if isinstance(outcome, Failed) else self._store(asset, outcome)

    def _say(self, context: dg.OutputContext, line: str) -> None:
        """Tell how far the step is: the run's log, and whoever hears its pulse."""
        told = f"{_asset(context)}: {line}"
        context.log.info(told)
        if self._pulse:
            self._pulse.says = told

    def _recognised(self, asset: str, work: Work, keys: Sequence[str]) -> Generator[Stored, None, list[str]]:
        """Yields what is stored already, as it is wanted; returns the keys of what isn't."""
        missing = []
        for key in keys:
            manifest = None if work.force else self.store.manifest(asset, key)
            if manifest is not None and not differences(manifest.parameters, work.wanted[key]):
                yield Stored(manifest, is_new=False)
            else:
                missing.append(key)
        return missing

    def load_input(self, context: dg.InputContext) -> Any:
        """`StoredResults` where the input is annotated so, else the records themselves."""
        wanted = context.dagster_type.typing_type
        if wanted in (StoredResults, StoredBytes):
            store = self.store if wanted is StoredResults else Store(self.base_path, self.format)
            return wanted(store, _asset(context), context.asset_partition_keys)
        return super().load_input(context)

    def dump_to_path(self, context: dg.OutputContext, obj: Computed, path: UPath) -> None:
        """Write one computed partition to its folder, which is ``path``."""
        self._write(_asset(context), obj)

    def load_from_path(self, context: dg.InputContext, path: UPath) -> Record:
        """The record stored in the folder ``path``, its bytes compared with their digests.

        Raises:
            FileNotFoundError: Nothing is stored there.
            ResultCorruptError: The bytes aren't those that were stored.
        """
        manifest = Manifest.from_json((path / MANIFEST_NAME).read_bytes())
        return self.store.read(manifest.asset, manifest.partition_key, PER_VIDEO[manifest.asset].record)

    def _store(self, asset: str, result: Computed) -> Stored | Failed:
        """Write a result; one that can't be written fails its video."""
        try:
            return Stored(self._write(asset, result), is_new=True)
        except StoreError as error:
            return Failed(result.key, error)

    def _write(self, asset: str, result: Computed) -> Manifest:
        return self.store.write(
            asset,
            result.key,
            result.record,
            data_version=digest(result.parameters),
            parameters=result.parameters,
            summary=result.summary,
            pictures=result.pictures,
            source_stat=result.source_stat,
        )

    def _metadata(self, context: dg.OutputContext, work: Work, stored: Stored) -> dict[str, Any]:
        described = dict(work.describe(stored.manifest.summary))
        if not stored.is_new:
            described["recognised"] = dg.MetadataValue.text("stored already, nothing was computed")
        return stored_metadata(self.store, stored.manifest, described, self.browse_url, context.log.warning)

    def _materialization(self, context: dg.OutputContext, work: Work, stored: Stored) -> dg.AssetMaterialization:
        """The event that Dagster would make of a stored partition if its step succeeded."""
        return dg.AssetMaterialization(
            context.asset_key,
            partition=stored.manifest.partition_key,
            metadata=self._metadata(context, work, stored),
            tags=provenance_tags(context, stored.manifest.data_version),
        )


class NumpyIOManager(StoreIOManager):
    """Writes a ``.npy`` file for each array."""

    @property
    def format(self) -> Format:
        """Numpy: an array can be read without this package."""
        return "numpy"


class PickleIOManager(StoreIOManager):
    """Writes one ``.pkl`` file for each partition."""

    @property
    def format(self) -> Format:
        """Pickle: one file for each result."""
        return "pickle"


def _asset(context: dg.InputContext | dg.OutputContext) -> str:
    """The name of an asset, whatever its key begins with."""
    return context.asset_key.path[-1]
