"""All videos' features as Parquet files: one set for the whole library, of which only stale ones are written again.

Dagster calls an asset without partitions fresh, whatever becomes of its more than 100 partitions above it. So whether
this one is what is stored, its own records say: to the check, and to each run.
"""

import dagster as dg

from clip_assets.asking.library import Library
from clip_assets.orchestration.failures import every_video_s_fault
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.settings import LibrarySettings

NAME = "library_parquet"

DESCRIPTION = """The features of all videos in Parquet files, a row for each sampled frame: for pandas, DuckDB, Polars,
`datasets`. What is there as it should be stays: a run writes only files of which a video changed. Its folder's
`README.md` says how to read it, docs/export.md what is in it."""


def build_exports(settings: LibrarySettings) -> list[dg.AssetsDefinition]:
    """The asset, where the settings name a folder for it."""
    folder, names = settings.export_parquet, LibraryNames.of(settings)
    if folder is None:
        return []

    @dg.asset(
        key=names.key(NAME),
        deps=[dg.AssetDep(names.key("clip_features"), partition_mapping=dg.AllPartitionMapping())],
        group_name=settings.group,
        owners=settings.owners,
        tags=settings.tags,
        kinds={"parquet"},
        description=DESCRIPTION,
        metadata={"dagster/uri": str(folder)},
    )
    @every_video_s_fault()
    def library_parquet(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        rows = Library(settings).rows()
        exported = rows.export("parquet", folder)
        unreadable = [f"Left out: {key}: {reason}" for key, reason in exported.unreadable.items()]
        for note in (*rows.notes, *unreadable):
            context.log.warning(note)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(exported.digest),
            metadata={
                "dagster/row_count": exported.rows,
                "videos": exported.videos,
                "bytes": exported.size,
                "files": len(exported.written) + len(exported.kept),
                "files_written": len(exported.written),
                "left_out": dg.MetadataValue.md("\n".join(f"- {note}" for note in (*rows.notes, *unreadable)) or "-"),
                "path": dg.MetadataValue.path(str(folder)),
            },
        )

    return [library_parquet]


def build_export_checks(settings: LibrarySettings) -> list[dg.AssetChecksDefinition]:
    """The check that the files hold what is stored, where there is the asset."""
    folder = settings.export_parquet
    if folder is None:
        return []

    @dg.asset_check(
        asset=LibraryNames.of(settings).key(NAME),
        description="The files hold what is stored by now, as far as their own records tell.",
    )
    @every_video_s_fault()
    def files_hold_what_is_stored() -> dg.AssetCheckResult:
        rows = Library(settings).rows()
        passed = rows.is_current("parquet", folder)
        words = "As stored." if passed else "Other features are stored by now, or files are gone. Materialize it again."
        return dg.AssetCheckResult(passed=passed, description=words)

    return [files_hold_what_is_stored]
