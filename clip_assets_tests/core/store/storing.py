"""What the tests of the store write, and how they compare."""

import dataclasses

import numpy as np

from clip_assets.core.records import ClipFeatures

ASSET = "clip_features"


KEY = "sports/lifting.mp4"


FORMATS = ["numpy", "pickle"]


def clip_features(frames: int = 5, seed: int = 0) -> ClipFeatures:
    random = np.random.default_rng(seed)
    clip = random.standard_normal((frames, 4)).astype(np.float32)
    clip[:1] = np.nan
    times = np.arange(frames) * 50.0
    return ClipFeatures(clip, times, times + 0.25, np.arange(frames), 19.62, "ViT-B/32", "ab" * 32, "")


def write(store, record, key=KEY, asset=ASSET, data_version="v1"):
    return store.write(asset, key, record, data_version=data_version, parameters={})


def assert_equal(got, expected):
    assert type(got) is type(expected)
    for field in dataclasses.fields(expected):
        one, other = getattr(got, field.name), getattr(expected, field.name)
        assert type(one) is type(other), field.name
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype, field.name
            np.testing.assert_array_equal(one, other, err_msg=field.name)
        else:
            assert one == other, field.name


def names(path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())
