"""Questions to a library in a bucket: few requests, many of them at once, and the answers of a disk."""

from __future__ import annotations

from pathlib import Path

import fsspec
import numpy as np
import pytest

from clip_assets.core.library.remote_folder import RemoteFolder
from clip_assets.core.library.video_cache import VideoCache
from clip_assets.core.search.ask import StoredRows, ask
from clip_assets.core.search.cache import ShotCache
from clip_assets.core.search.search import Wanted
from clip_assets.core.search.upkeep import Upkeep
from clip_assets.core.store import Store
from clip_assets_tests.cluster.test_videos_on_s3 import upload
from clip_assets_tests.core.search.corpus import MODEL, WIDTH, Library, clip_of, told
from clip_assets_tests.making.s3 import BUCKET, S3, new_bucket

pytestmark = pytest.mark.cluster
pytest.importorskip("moto")

VIDEOS, A_QUERY = 60, 80


def test_a_question_takes_few_requests_and_has_the_answer_of_a_disk(s3: S3, tmp_path: Path) -> None:
    local = Library(tmp_path)
    for number in range(VIDEOS):
        scenes = [(scene, 40) for scene in np.random.default_rng(number).permutation(8)]
        local.add(f"{number:02}.mp4", clip_of(*scenes, seed=number, noise=0.5))
    local.upkeep.refresh()
    new_bucket()
    upload(local.videos, f"s3://{BUCKET}/films")
    upload(tmp_path / "output", f"s3://{BUCKET}/results")

    store, films = (
        Store(f"s3://{BUCKET}/results"),
        RemoteFolder(f"s3://{BUCKET}/films", VideoCache(tmp_path / "copies")),
    )
    upkeep, rows = Upkeep(ShotCache(tmp_path / "remote"), store, films), StoredRows(store)
    upkeep.refresh()
    for concept in (0, 5):
        with s3.counted() as asked:
            answer = ask(upkeep, rows, MODEL, Wanted(np.eye(WIDTH)[concept], top=20, per_video=1))
        assert len({moment.video.key for moment in answer.moments}) == 20  # each of another video, which costs the most
        assert told(answer) == told(local.ask(concept, top=20, per_video=1))
        assert sum(asked.values()) <= A_QUERY, asked

    key = answer.moments[0].video.key
    fsspec.filesystem("s3").pipe_file(f"{BUCKET}/films/{key}", b"another video")
    changed = ask(upkeep, rows, MODEL, Wanted(np.eye(WIDTH)[concept], top=20, per_video=1))
    assert key not in {moment.video.key for moment in changed.moments}
