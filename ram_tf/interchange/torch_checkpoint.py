"""Reads the tensors of a PyTorch checkpoint without PyTorch, and runs nothing of it.

A pickle may name any function and have it called. This reader knows the names of
tensors, their storages and ordered dictionaries, makes plain objects of them, and
refuses every other.
"""

import collections
import io
import math
import pickle
import zipfile
from typing import Any, NamedTuple

import numpy as np

from ram_tf.errors import InputError

_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
_BROKEN = (
    *(pickle.UnpicklingError, EOFError, OSError, zipfile.BadZipFile, MemoryError),
    *(KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError),
    RecursionError,
)


class _Storage(NamedTuple):
    key: str
    dtype: str


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple


def read_torch_checkpoint(path):
    """Reads what `torch.save` wrote, in the format before version 1.6 or the zip after.

    Args:
        path: Path of the file.

    Returns:
        What was saved, of plain Python objects, with a NumPy array for each tensor.

    Raises:
        InputError: If the file is none, is damaged, or names anything to call.
    """
    try:
        with open(path, "rb") as file:
            read = _read_zip if zipfile.is_zipfile(file) else _read_stream
            file.seek(0)  # Looking for a zip file ends somewhere in it.
            saved, data = read(file)
            return _with_arrays(saved, data)
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(
            f"{str(path)!r} is no whole PyTorch checkpoint: {error}."
        ) from error


def _read_stream(file):
    """The old format: five pickles, then each storage's length and bytes."""
    if _load(file) != _MAGIC:
        raise ValueError("it does not begin as one")
    _load(file)  # The protocol's version.
    _load(file)  # The byte order and sizes of the machine that wrote it.
    reader = _Reader(file)
    saved = reader.load()
    data = {}
    for key in _load(file):
        if key not in reader.storages:
            raise ValueError(f"an unknown storage {key}")
        dtype = np.dtype(reader.storages[key])
        (count,) = np.frombuffer(file.read(8), "<i8")
        content = file.read(count * dtype.itemsize)
        data[key] = np.frombuffer(content, dtype, count)
    return saved, data


def _read_zip(file):
    """The new format: `data.pkl`, and each storage's bytes in a file of its own."""
    with zipfile.ZipFile(file) as archive:
        names = {name.partition("/")[2]: name for name in archive.namelist()}
        reader = _Reader(io.BytesIO(archive.read(names["data.pkl"])))
        saved = reader.load()
        data = {
            key: np.frombuffer(archive.read(names[f"data/{key}"]), dtype)
            for key, dtype in reader.storages.items()
        }
    return saved, data


class _Reader(pickle.Unpickler):
    """An unpickler that knows tensors and dictionaries, and nothing that acts."""

    def __init__(self, file):
        super().__init__(file, encoding="utf-8")
        self.storages = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils":
            if name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
                return _rebuild_tensor
            if name == "_rebuild_parameter":
                return _rebuild_parameter
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise InputError(
            f"the checkpoint names {module}.{name}, which is neither a tensor nor a "
            "dictionary: it is not read, because that could run anything."
        )

    def persistent_load(self, identifier):
        kind, dtype, key, *_ = identifier
        if kind != "storage":
            raise ValueError(f"an unknown reference {kind!r}")
        self.storages[key] = dtype
        return _Storage(key, dtype)


def _load(file):
    return _Reader(file).load()


def _rebuild_tensor(storage, offset, shape, strides, *unused):
    del unused
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor, *unused):
    del unused
    return tensor


def _with_arrays(saved: Any, data):
    if isinstance(saved, _Tensor):
        return _array(saved, data[saved.storage.key])
    if isinstance(saved, dict):
        return {key: _with_arrays(value, data) for key, value in saved.items()}
    if isinstance(saved, (list, tuple)):
        return [_with_arrays(value, data) for value in saved]
    return saved


def _array(tensor, storage):
    pairs = list(zip(tensor.shape, tensor.strides, strict=True))
    last = tensor.offset + sum((size - 1) * stride for size, stride in pairs)
    negative = tensor.offset < 0 or any(size < 0 or step < 0 for size, step in pairs)
    if negative or (0 not in tensor.shape and last >= len(storage)):
        raise ValueError(f"a tensor of shape {tensor.shape} lies outside its storage")
    if math.prod(tensor.shape) > len(storage):  # Strides of 0: a few bytes fill memory.
        raise ValueError(f"a tensor of shape {tensor.shape} repeats its storage")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, storage.dtype)
    strides = [stride * storage.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(
        storage[tensor.offset :], tensor.shape, strides
    )
    return view.copy()
