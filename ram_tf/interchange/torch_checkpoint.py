"""Reads the tensors of a PyTorch checkpoint without PyTorch, and runs nothing of it.

A pickle may name any function and have it called. This reader knows the names of
tensors, their storages and ordered dictionaries, and makes plain objects of them. What
has any other name is passed over: something stands for it that can be called and
filled, and does nothing.
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
_BITS = "bfloat16"
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
    "ComplexFloatStorage": "<c8",
    "ComplexDoubleStorage": "<c16",
    # NumPy has no such numbers: their bits, which are the upper half of a float32's.
    "BFloat16Storage": _BITS,
}
_REBUILT = ("_rebuild_tensor", "_rebuild_tensor_v2")
# Where people keep weights in what they save, and what wrapping a model puts before
# their names.
_WEIGHTS = (
    *("model_state", "state_dict", "model_state_dict", "model", "net", "network"),
    *("weights", "params"),
)
_WRAPPERS = ("module.", "_orig_mod.", "model.")
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


def read_torch_checkpoint(path, report=print):
    """Reads what `torch.save` wrote, in the format before version 1.6 or the zip after.

    Args:
        path: Path of the file.
        report: Function of one line of text, which says what was passed over.

    Returns:
        What was saved, of plain Python objects, with a NumPy array for each tensor. An
        entry of a dictionary or a list that was passed over is not there; where
        everything was, it is `None`.

    Raises:
        InputError: If the file is none, or is damaged.
    """
    try:
        with open(path, "rb") as file:
            read = _read_zip if zipfile.is_zipfile(file) else _read_stream
            file.seek(0)  # Looking for a zip file ends somewhere in it.
            saved, data, passed = read(file)
            saved = _with_arrays(saved, data)
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(
            f"{str(path)!r} is no whole PyTorch checkpoint: {error}."
        ) from error
    if passed:
        names = " ".join(", ".join(passed).split())
        report(f"passed over in {path}, without running any: {names}")
    return None if isinstance(saved, _PassedOver) else saved


def find_weights(saved):
    """Returns the weights in what was read: a dictionary of arrays by name.

    It may be that dictionary itself, or hold it under a name that people use. What
    every name begins with because a model was wrapped (`module.`) is taken away.

    Raises:
        InputError: If there is none.
    """
    for key in (None, *_WEIGHTS):
        inner = saved
        if key is not None and isinstance(saved, dict):
            inner = saved.get(key)
        if not isinstance(inner, dict) or not inner:
            continue
        if all(isinstance(value, np.ndarray) for value in inner.values()):
            return _unwrapped(inner)
        if key is not None:
            return find_weights(inner)
    keys = "no dictionary"
    if isinstance(saved, dict):
        keys = ", ".join([*map(repr, [*saved][:10]), *["..."] * (len(saved) > 10)])
    raise InputError(
        f"no weights in what was saved ({keys}): expected a state_dict, a dictionary "
        f"of tensors by name, as it is or as one of {', '.join(_WEIGHTS)}."
    )


def _unwrapped(weights):
    for prefix in _WRAPPERS:
        if all(str(name).startswith(prefix) for name in weights):
            bare = {name.removeprefix(prefix): each for name, each in weights.items()}
            return _unwrapped(bare)
    return weights


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
        dtype = _stored_as(reader.storages[key])
        (count,) = np.frombuffer(file.read(8), "<i8")
        content = file.read(count * dtype.itemsize)
        data[key] = _numbers(content, reader.storages[key], count)
    return saved, data, reader.passed


def _read_zip(file):
    """The new format: `data.pkl`, and each storage's bytes in a file of its own."""
    with zipfile.ZipFile(file) as archive:
        names = {name.partition("/")[2]: name for name in archive.namelist()}
        reader = _Reader(io.BytesIO(archive.read(names["data.pkl"])))
        saved = reader.load()
        data = {
            key: _numbers(archive.read(names[f"data/{key}"]), dtype)
            for key, dtype in reader.storages.items()
        }
    return saved, data, reader.passed


def _stored_as(dtype):
    return np.dtype("<u2" if dtype == _BITS else dtype)


def _numbers(content, dtype, count=-1):
    """The numbers of a storage, those that NumPy does not have as float32."""
    numbers = np.frombuffer(content, _stored_as(dtype), count)
    if dtype == _BITS:
        numbers = (numbers.astype("<u4") << 16).view("<f4")
    return numbers


class _PassedOver:
    """Stands for what has a name that is not known: it takes anything, does nothing."""

    def __new__(cls, *arguments, **options):
        return super().__new__(cls)

    def __init__(self, *arguments, **options):
        pass

    def __call__(self, *arguments, **options):
        return _PassedOver()

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, value):
        pass

    def extend(self, values):
        pass

    def add(self, value):
        pass


class _Reader(pickle.Unpickler):
    """An unpickler that knows tensors and dictionaries, and nothing that acts.

    Attributes:
        storages: Type of each storage by its key.
        passed: Dictionary whose keys are the names that were passed over, in order.
    """

    def __init__(self, file):
        super().__init__(file, encoding="utf-8", errors="surrogateescape")
        self.storages = {}
        self.passed = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils":
            if name in _REBUILT:
                return _rebuild_tensor
            if name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
                return _rebuild_parameter
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        self.passed[f"{module}.{name}"] = None
        return _PassedOver

    def persistent_load(self, identifier):
        kind, dtype, key, *_ = identifier
        if kind != "storage":
            raise ValueError(f"an unknown reference {kind!r}")
        if dtype not in _STORAGES.values():
            raise ValueError(f"a storage {key} of numbers of an unknown type")
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
        read = {key: _with_arrays(value, data) for key, value in saved.items()}
        return {key: read[key] for key in read if not _is_passed(key, read[key])}
    if isinstance(saved, (list, tuple)):
        read = [_with_arrays(value, data) for value in saved]
        return [value for value in read if not _is_passed(value)]
    return saved


def _is_passed(*values):
    return any(
        isinstance(value, _PassedOver) or value is _PassedOver for value in values
    )


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
