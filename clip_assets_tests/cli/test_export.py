"""``clip-assets export``, and what people's code gets: frames, shots and moments of the demo's clips as tables."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

import clip_assets
from clip_assets.cli import main
from clip_assets.core.errors import ResultCorruptError
from clip_assets.core.store import Store


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo_library: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(demo_library, tmp_path / "library")
    monkeypatch.setenv("CLIP_ASSETS_OUTPUT", str(tmp_path / "library" / "output"))
    monkeypatch.setenv("CLIP_ASSETS_VIDEOS", str(tmp_path / "library" / "videos"))
    return tmp_path / "library" / "output"


def test_duckdb_and_pandas_read_what_is_stored(output, capsys):
    assert main(["export", "parquet", "exported"]) == 0
    assert "28 rows of 3 videos" in capsys.readouterr().out
    library = clip_assets.open_library()
    features = library.features("shapes.mp4")
    query = "SELECT clip, timestamp_ms FROM 'exported/data/*.parquet' WHERE key = 'shapes.mp4' ORDER BY row"
    clip, times = zip(*duckdb.sql(query).fetchall(), strict=True)
    np.testing.assert_array_equal(np.array(clip, np.float32), features.clip)
    np.testing.assert_array_equal(times, features.timestamps_ms)
    frame = library.to_pandas(under="shapes.mp4")
    np.testing.assert_array_equal(np.stack(frame["clip"]), features.clip)
    assert set(frame["key"]) == {"shapes.mp4"}


def test_moments_of_a_sentence_are_exported_as_they_are_found(output, capsys):
    assert main(["export", "parquet", "exported", "--find", "a blue square", "--top", "1"]) == 0
    assert capsys.readouterr().out.startswith("1 rows, ")
    (row,) = pq.read_table("exported/data/moments-00000.parquet").to_pylist()
    assert (row["key"], row["from_ms"], row["to_ms"]) == ("shapes.mp4", 1750.0, 3750.0)


def test_what_is_left_out_is_told(output, capsys):
    clip_assets.open_library().refresh()
    videos = output.parent / "videos"
    (videos / "rotated.mp4").write_bytes(b"another content")
    (videos / "variable_rate.mp4").unlink()
    shutil.copy(videos / "shapes.mp4", videos / "new.mp4")
    store = Store(output)
    damaged = Path(store.path("clip_features", "shapes.mp4") / "indices.npy")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert main(["export", "parquet", "exported"]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("0 rows, 0.0 kB: 0 files.")
    for words in (
        "1 video that changed since its features were made.",
        "1 video that is gone from the folder of videos.",
        "1 video without stored features, missing or failed.",
        "failed: shapes.mp4: ",
    ):
        assert words in told.err
    with pytest.warns(UserWarning, match="Left out") as warned, pytest.raises(ResultCorruptError):
        clip_assets.open_library().to_arrow()
    left_out = [line for line in told.err.splitlines() if line.startswith("Left out: ")]
    assert [str(warning.message) for warning in warned] == left_out
    assert {warning.filename for warning in warned} == {__file__}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["parquet", "library"], "isn't empty, and holds no export. Name another folder."),
        (["parquet", "s3://bucket/exported"], "is a URL; an export is a folder of this machine"),
        (["parquet", "exported", "--under", "nowhere"], "There are no features to export"),
    ],
)
def test_what_can_not_be_exported_is_refused_with_the_way_out(output, capsys, arguments, words):
    assert main(["export", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_library_that_is_not_installed_is_named_with_its_extra(output, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["export", "parquet", "exported"]) == 2
    assert "pyarrow isn't installed" in (told := capsys.readouterr().err)
    assert "pip install 'clip_assets[parquet]'" in told
    assert not Path("exported").exists()
