"""Records to the bytes of files and back: one ``.npy`` per field, or one ``.pkl``. Reading never runs foreign code."""

from __future__ import annotations

import io
import pickle
import tokenize
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_assets.core.errors import ResultCorruptError, StoreError
from clip_assets.core.store.manifest import Format, StoredArray

if TYPE_CHECKING:
    from clip_assets.core.records import Record

# Every class and function that a pickle may name, by module; numpy 1 and 2 keep the same ones in different places.
_NUMPY_INTERNALS = {"multiarray": {"_reconstruct", "scalar"}, "numeric": {"_frombuffer"}}
_ADMITTED: dict[str, set[str]] = {
    "builtins": {"bytearray", "complex", "frozenset", "range", "set", "slice"},
    "numpy": {"dtype", "ndarray"},
    **{f"numpy.core.{module}": names for module, names in _NUMPY_INTERNALS.items()},
    **{f"numpy._core.{module}": names for module, names in _NUMPY_INTERNALS.items()},
    "pandas": {
        *("DataFrame", "Series", "Index", "RangeIndex", "MultiIndex", "CategoricalIndex", "DatetimeIndex"),
        *("TimedeltaIndex", "Categorical", "CategoricalDtype", "StringDtype"),
    },
    "pandas.arrays": {"DatetimeArray", "StringArray", "TimedeltaArray"},
    "pandas.core.indexes.base": {"_new_Index"},
    "pandas.core.indexes.datetimes": {"_new_DatetimeIndex"},
    "pandas.core.internals.managers": {"BlockManager", "SingleBlockManager"},
    "pandas._libs.arrays": {"__pyx_unpickle_NDArrayBacked"},
    "pandas._libs.internals": {"_unpickle_block"},
}

# What pickle and numpy raise for bytes that aren't theirs.
_MALFORMED = (
    *(AttributeError, EOFError, LookupError, OverflowError, SyntaxError, TypeError, ValueError),
    *(pickle.UnpicklingError, tokenize.TokenError),
)


def encode_record(record: Record, form: Format, asset: str) -> tuple[dict[str, StoredArray], dict[str, bytes]]:
    """A record as files: for each field what it looks like, and for each file's name its bytes.

    Raises:
        StoreError: A field holds something else than an array without objects, a number, a str or a tuple of str.
    """
    arrays = {field.name: _as_array(field.name, getattr(record, field.name)) for field in fields(record)}
    described = {name: StoredArray(array.shape, array.dtype.str) for name, array in arrays.items()}
    if form == "pickle":
        values = {name: _as_value(array) for name, array in arrays.items()}
        return described, {f"{asset}.pkl": pickle.dumps(values, protocol=5)}
    return described, {f"{name}.npy": _npy_bytes(array) for name, array in arrays.items()}


def decode_fields(form: Format, files: dict[str, bytes]) -> dict[str, Any]:
    """The values of a record's fields by name: 0-d arrays as plain scalars, 1-d arrays of strings as tuples.

    Raises:
        ResultCorruptError: The bytes aren't of that format, or a pickle names a class that isn't admitted.
    """
    if form == "pickle":
        (data,) = files.values()
        values = load_pickle(data)
        if not isinstance(values, dict):
            raise ResultCorruptError(f"The pickle holds a {type(values).__name__}, expected a dict of fields.")
        return values
    return {name.removesuffix(".npy"): _as_value(_npy_array(name, data)) for name, data in files.items()}


def load_pickle(data: bytes) -> Any:
    """What a pickle of numpy arrays, pandas frames and plain builtins holds, without running any other code.

    Args:
        data: A pickle of protocol 3 or later.

    Raises:
        ResultCorruptError: It names any other class or function, which the message tells, or it is no whole pickle.
    """
    try:
        return _RestrictedUnpickler(io.BytesIO(data)).load()
    except _MALFORMED as error:
        raise ResultCorruptError(f"The bytes aren't a whole pickle: {error}.") from error


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if global_name in _ADMITTED.get(module_name, ()):
            return super().find_class(module_name, global_name)
        raise ResultCorruptError(
            f"The pickle names {module_name}.{global_name}, which is refused: only numpy arrays, pandas frames and "
            "builtins are read, for any other class could run code. Don't load this file; delete it."
        )


def _as_array(name: str, value: Any) -> np.ndarray:
    """The value as the array that is stored for it."""
    if isinstance(value, bool | np.ndarray | np.generic):
        array = np.asarray(value)
        if not array.dtype.hasobject:
            return array
    elif isinstance(value, int) and -(2**63) <= value < 2**63:
        return np.asarray(value, dtype=np.int64)
    elif isinstance(value, float):
        return np.asarray(value, dtype=np.float64)
    elif isinstance(value, str) or (isinstance(value, tuple) and all(isinstance(text, str) for text in value)):
        return np.asarray(value, dtype=np.str_)
    raise StoreError(
        f"The field {name} holds {value!r:.80} ({type(value).__name__}), which can't be stored: expected an array "
        "without Python objects, a bool, a 64-bit int, a float, a str or a tuple of str."
    )


def _as_value(array: np.ndarray) -> Any:
    """What ``_as_array`` was given: the array itself, a plain scalar or a tuple of str."""
    if array.ndim == 0:
        return array.item()
    if array.ndim == 1 and array.dtype.kind == "U":
        return tuple(array.tolist())
    return array


def _npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def _npy_array(name: str, data: bytes) -> np.ndarray:
    try:
        array: np.ndarray = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except _MALFORMED as error:
        raise ResultCorruptError(f"{name} isn't a whole numpy array: {error}.") from error
    return array
