import dataclasses
import os
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from clip_assets.core.errors import ResultCorruptError, StoreError
from clip_assets.core.store.formats import decode_fields, encode_record, load_pickle
from clip_assets.core.store.manifest import StoredArray

FORMATS = ["numpy", "pickle"]


@dataclasses.dataclass(frozen=True)
class Anything:
    value: Any


def round_trip(value, form):
    _, files = encode_record(Anything(value), form, "asset")
    return decode_fields(form, files)["value"]


def assert_same(got, expected):
    assert type(got) is type(expected)
    if isinstance(expected, np.ndarray):
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        assert got.tobytes() == expected.tobytes()  # NaN and the sign of zero included
    elif expected != expected:
        assert got != got
    else:
        assert got == expected


@pytest.mark.parametrize("form", FORMATS)
@given(
    array=npst.arrays(
        dtype=st.one_of(npst.floating_dtypes(), npst.integer_dtypes(), npst.boolean_dtypes()),
        shape=npst.array_shapes(min_side=0),
    )
)
@example(array=np.array([np.nan, -np.nan, -0.0, np.inf]))
@example(array=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
@example(array=np.arange(12.0).reshape(3, 4)[::2, ::-1])
def test_arrays_come_back_bit_for_bit(form, array):
    assert_same(round_trip(array, form), array)


@pytest.mark.parametrize("form", FORMATS)
@given(
    value=st.one_of(
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(),
        st.text().map(lambda text: text.rstrip("\0")),
        st.lists(st.text().map(lambda text: text.rstrip("\0"))).map(tuple),
    )
)
@example(value=())
@example(value=("",))
@example(value="")
@example(value=("a red circle", "ein roter Kreis 🔴"))
def test_scalars_and_strings_come_back_with_their_type(form, value):
    assert_same(round_trip(value, form), value)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("value", "shape", "dtype"),
    [
        (19.62, (), "<f8"),
        (355, (), "<i8"),
        ("ViT-B/32", (), "<U8"),
        (("ab", "c"), (2,), "<U2"),
        (np.zeros((3, 512), np.float32), (3, 512), "<f4"),
    ],
)
def test_fields_are_described_as_the_arrays_that_are_stored(form, value, shape, dtype):
    described, _ = encode_record(Anything(value), form, "asset")
    assert described == {"value": StoredArray(shape, dtype)}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("value", [None, 2**63, ("a", 1), ["a"], {"a": 1}, np.array([None]), object()])
def test_values_without_a_plain_array_are_refused_before_anything_is_written(form, value):
    with pytest.raises(StoreError, match=r"field value .* can't be stored: expected an array"):
        encode_record(Anything(value), form, "asset")


def test_a_pickle_is_a_plain_dict_for_other_programs():
    _, files = encode_record(Anything(("a", "b")), "pickle", "asset")
    assert list(files) == ["asset.pkl"]
    assert pickle.loads(files["asset.pkl"]) == {"value": ("a", "b")}


class RunsCommand:
    def __reduce__(self):
        return os.system, ("exit 1",)


class Evaluates:
    def __reduce__(self):
        return eval, ("1 + 1",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("value", "refused"),
    [
        (RunsCommand(), "system"),
        (Evaluates(), "eval"),
        (os.path.join, "join"),
        (Anything(1), "Anything|_reconstructor"),
    ],
)
def test_a_pickle_that_names_anything_else_is_refused_by_name(value, refused, protocol):
    with pytest.raises(ResultCorruptError, match=rf"names [\w.]+\.({refused}), which is refused"):
        load_pickle(pickle.dumps({"clip": value}, protocol=protocol))


@pytest.mark.parametrize("name", ["DataFrame.eval", "io.common.os.system", "eval"])
def test_a_dotted_path_below_an_admitted_module_is_refused(name):
    data = b"\x80\x04" + b"".join(pickle.SHORT_BINUNICODE + bytes([len(s)]) + s for s in (b"pandas", name.encode()))
    with pytest.raises(ResultCorruptError, match=rf"names pandas\.{name}, which is refused"):
        load_pickle(data + pickle.STACK_GLOBAL + b".")


with pd.option_context("mode.string_storage", "python"):  # else pyarrow keeps them, where it is installed
    FRAMES = {
        "numbers": pd.DataFrame({"frame": [0, 1], "probability": [0.5, np.nan], "best": [True, False]}),
        "strings": pd.DataFrame({"text": ["a red circle", None]}, index=pd.Index(["x", "y"], name="row")),
        "times": pd.Series([1.0, 2.0], index=pd.DatetimeIndex(["2024-01-01", "2024-01-02"]), name="value"),
        "durations": pd.DataFrame({"t": pd.to_timedelta([1, 2], unit="ms"), "d": pd.to_datetime(["2024", "2025"])}),
        "categories": pd.DataFrame({"c": pd.Categorical(["a", "b", "a"])}),
        "levels": pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "v": [0.1, 0.2]}).set_index(["a", "b"]),
        "empty": pd.DataFrame(),
    }


def test_strings_that_pyarrow_keeps_are_refused() -> None:
    """It takes the buffers of a pickle for what they claim to be, and reads beyond their end."""
    with pd.option_context("mode.string_storage", "pyarrow"):
        frame = pd.DataFrame({"text": ["a red circle"]})
    with pytest.raises(ResultCorruptError, match="ArrowStringArray, which is refused"):
        load_pickle(pickle.dumps(frame))


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("name", FRAMES)
def test_pandas_frames_are_admitted(name, protocol):
    got = load_pickle(pickle.dumps(FRAMES[name], protocol=protocol))
    if isinstance(FRAMES[name], pd.Series):
        pd.testing.assert_series_equal(got, FRAMES[name])
    else:
        pd.testing.assert_frame_equal(got, FRAMES[name])


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_numpy_and_plain_builtins_are_admitted(protocol):
    value = {"a": np.arange(3), "b": np.float32(0.1), "c": {1, 2}, "d": (1, "x", b"y", None, 1j), "e": slice(1, 2)}
    got = load_pickle(pickle.dumps(value, protocol=protocol))
    np.testing.assert_array_equal(got.pop("a"), value.pop("a"))
    assert got == value


def test_arrays_pickled_by_numpy_1_are_admitted():
    data = pickle.dumps(np.arange(3.0), protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    np.testing.assert_array_equal(load_pickle(data), [0.0, 1.0, 2.0])


def test_a_torn_pickle_is_corrupt_at_every_length():
    data = pickle.dumps({"clip": np.arange(3.0), "fps": 1.0}, protocol=5)
    for length in range(len(data)):
        with pytest.raises(ResultCorruptError, match="aren't a whole pickle"):
            load_pickle(data[:length])


def test_a_pickle_of_something_else_than_fields_is_corrupt():
    with pytest.raises(ResultCorruptError, match="holds a list, expected a dict"):
        decode_fields("pickle", {"a.pkl": pickle.dumps([1])})


def test_a_torn_numpy_file_is_corrupt_at_every_length():
    _, files = encode_record(Anything(np.arange(3.0)), "numpy", "asset")
    data = files["value.npy"]
    for length in range(len(data)):
        with pytest.raises(ResultCorruptError, match=r"value\.npy isn't a whole numpy array"):
            decode_fields("numpy", {"value.npy": data[:length]})


def test_a_numpy_file_of_objects_is_never_unpickled(tmp_path):
    path = tmp_path / "clip.npy"
    np.save(path, np.array([RunsCommand()], dtype=object), allow_pickle=True)
    with pytest.raises(
        ResultCorruptError, match=r"clip\.npy isn't a whole numpy array: Object arrays cannot be loaded"
    ):
        decode_fields("numpy", {"clip.npy": path.read_bytes()})


def test_a_bare_pickle_or_an_archive_named_npy_is_never_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", clip=np.arange(3))
    for data in (pickle.dumps(RunsCommand()), (tmp_path / "a.npz").read_bytes()):
        with pytest.raises(ResultCorruptError, match="isn't a whole numpy array"):
            decode_fields("numpy", {"clip.npy": data})
