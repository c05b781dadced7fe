"""Make `videos/` and `output/` beside this file: what commit 782035e, which had schema 1, stored of five small videos.

Run once, at that commit, and never again; tests read what it left. From the repository's root::

    git worktree add /tmp/before 782035e
    cp -r clip_assets_tests/golden /tmp/before/clip_assets_tests/
    cd /tmp/before && PYTHONPATH=. python -m clip_assets_tests.golden.make
    cp -r /tmp/before/clip_assets_tests/golden <the repository>/clip_assets_tests/

PyAV 18.1.0, numpy 2.4.6, torch 2.15.0 on a CPU.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import dagster as dg

from clip_assets.core.library.folder import Folder
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.instance import register
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets_tests.golden import FORMATS, OUTPUT, VIDEOS, golden_settings
from clip_assets_tests.making.corpus import X264, Recipe, _encode, truncated, write


def write_videos(folder: Path) -> None:
    """A plain video, twice; one with pixels twice as wide as tall; one whose clock jumps an hour; a torn one."""
    folder.mkdir()
    few = Recipe(options=X264, frames=6, size=(64, 64))
    write(folder / "plain.mp4", few)
    shutil.copyfile(folder / "plain.mp4", folder / "pickled.mp4")
    wide = Recipe(options={**X264, "x264-params": "sar=2/1"}, frames=6, size=(32, 64))
    write(folder / "wide_pixels.mp4", wide)
    jumping = Recipe(options=X264, frames=6, size=(64, 64), ticks=[0, 1, 2, 90_000, 90_001, 90_002])
    with av.open(str(folder / "jump.ts"), "w") as output:
        _, packets = _encode(jumping, output)
        output.mux(packets)
    truncated(folder / "torn.mp4", index_in_front=True)


def main() -> None:
    """Write the videos and materialize the three assets of each."""
    for folder in (VIDEOS, OUTPUT):
        shutil.rmtree(folder, ignore_errors=True)
    write_videos(VIDEOS)
    with dg.DagsterInstance.ephemeral() as instance:
        register(instance, LibraryNames(), Folder(VIDEOS), list(FORMATS))
        for key, form in FORMATS.items():
            job = build_definitions(golden_settings(VIDEOS, OUTPUT, form)).resolve_implicit_global_asset_job_def()
            assets = [dg.AssetKey(asset) for asset in ("frame_indices", "clip_features", "text_match")]
            job.execute_in_process(instance=instance, asset_selection=assets, partition_key=key)


if __name__ == "__main__":
    main()
