"""The demo: the bundled clips, materialized through Dagster on the instance that ``DAGSTER_HOME`` names."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from dotenv import load_dotenv

from clip_assets.core.library.named import Named
from clip_assets.core.store import Store
from clip_assets.demo import demo_clips, demo_environment
from clip_assets.orchestration.in_process import Execution, Listener
from clip_assets.orchestration.instance import open_instance, register
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.run_plan import Asked, make_plan
from clip_assets.project import instance_folder, refresh_instance_settings
from clip_assets.results.assets import PER_VIDEO
from clip_assets.results.facts import at_a_glance
from clip_assets.results.summaries import MatchSummary
from clip_assets.settings import Settings


class Failures(Listener):
    """Says why a clip failed."""

    def failed(self, key: str, reason: str) -> None:
        """A line of its own."""
        sys.stderr.write(f"{key}: {reason}\n")


def run_demo() -> Iterator[str]:
    """Copy the clips into the library, register and materialize them; the lines that say what each shows when."""
    refresh_instance_settings(instance_folder())
    load_dotenv(demo_environment(), override=True)
    settings = Settings.from_environment(settle_seconds=0)  # the clips are whole
    videos = Path(settings.videos)
    videos.mkdir(parents=True, exist_ok=True)
    keys = [Path(shutil.copy(clip, videos)).name for clip in demo_clips()]
    with open_instance() as instance:
        register(instance, LibraryNames.of(settings), settings.source, keys)
        plan = make_plan(instance, settings, Asked([Named(key, videos / key) for key in keys]))
        Execution(instance, settings, Failures()).execute(plan.tasks)
    store = Store(settings.output)
    for key in keys:
        match = store.manifest("text_match", key)
        yield f"{key}: {at_a_glance(MatchSummary.read(match.summary)) if match else 'failed, see above'}"
    yield "Files, in a folder for each video:"
    for asset in PER_VIDEO:
        yield f"  {store.root / asset}"
