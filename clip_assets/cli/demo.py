"""The demo: the bundled clips, materialized through Dagster on the instance that ``DAGSTER_HOME`` names."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dotenv import load_dotenv

from clip_assets.core.records import RECORD_TYPES
from clip_assets.core.store import Store
from clip_assets.definitions import build_definitions
from clip_assets.demo import demo_clips, demo_environment
from clip_assets.orchestration.instance import open_instance, register
from clip_assets.orchestration.partitions import partition_tags
from clip_assets.project import instance_folder, refresh_instance_settings
from clip_assets.results.facts import at_a_glance
from clip_assets.results.summaries import MatchSummary
from clip_assets.settings import Settings

QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}


def run_demo() -> Iterator[str]:
    """Copy the clips into the library, register and materialize them; the lines that say what each shows when."""
    refresh_instance_settings(instance_folder())
    load_dotenv(demo_environment(), override=True)
    settings = Settings.from_environment()
    settings.videos.mkdir(parents=True, exist_ok=True)
    clips = [Path(shutil.copy(clip, settings.videos)) for clip in demo_clips()]
    with open_instance() as instance:
        keys = register(instance, settings.videos, clips)
        definitions = build_definitions(settings, dg.StaticPartitionsDefinition(keys))  # in one run, whoever is between
        job = definitions.resolve_job_def("extract_clip_features")
        job.execute_in_process(instance=instance, tags=partition_tags(keys), run_config=QUIET, raise_on_error=False)
    store = Store(settings.output)
    for key in keys:
        match = store.manifest("text_match", key)
        yield f"{key}: {at_a_glance(MatchSummary.read(match.summary)) if match else 'failed, see above'}"
    yield "Files, in a folder for each video:"
    for asset in RECORD_TYPES:
        yield f"  {store.root / asset}"
