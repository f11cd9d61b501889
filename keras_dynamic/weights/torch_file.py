"""Reads the tensors of a file that PyTorch before 1.6 wrote, without PyTorch.

Such a file is five pickles, and behind them the numbers of each storage. A
pickle can name any function to call. Here it may name an ordered dict, tensors
and kinds of storage, for which our own stand, and nothing else.
"""

import collections
import dataclasses
import io
import math
import os
import pathlib
import pickle
import struct
from typing import Any

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "DoubleStorage": "<f8",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ByteStorage": "u1",
}
_TENSORS = {
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
}


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the tensors of a saved `state_dict`, by their names.

    Args:
        path: A file of `torch.save` in the form before PyTorch 1.6.

    Raises:
        ValueError: If it is not such a file, or holds anything but tensors.
    """
    file = io.BytesIO(pathlib.Path(path).read_bytes())
    try:
        return _read(file)
    except Exception as error:
        # What a damaged pickle raises depends on where it is damaged.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(
            "`path` must be a file of tensors as PyTorch before 1.6 saved "
            f"them. Received: path={os.fspath(path)!r}: {reason}"
        ) from error


@dataclasses.dataclass(frozen=True)
class _Storage:
    dtype: np.dtype
    key: str


@dataclasses.dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) in _TENSORS:
            return _tensor
        if module == "torch" and name in _DTYPES:
            return name
        raise ValueError(f"it names {module}.{name}, which is no tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        tag, kind, key, _, _, view = pid
        if tag != "storage" or view is not None:
            raise ValueError(f"it names a storage as {pid!r}")
        return _Storage(np.dtype(_DTYPES[kind]), str(key))


def _tensor(storage, offset, shape, strides, *_):
    if not isinstance(storage, _Storage):
        raise ValueError(f"it has a tensor of {storage!r}")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _read(file):
    for expected in (_MAGIC, _PROTOCOL):
        if _Unpickler(file).load() != expected:
            raise ValueError("it begins otherwise")
    _Unpickler(file).load()  # The sizes of numbers where it was written.
    tensors = _Unpickler(file).load()
    keys = _Unpickler(file).load()
    if not isinstance(tensors, dict) or not all(
        isinstance(each, _Tensor) for each in tensors.values()
    ):
        raise ValueError("it holds something else than a dict of tensors")
    dtypes = {each.storage.key: each.storage.dtype for each in tensors.values()}
    numbers = {key: _numbers(file, dtypes[key]) for key in keys}
    if file.read(1):
        raise ValueError("something follows the last tensor")
    return {
        name: _array(each, numbers[each.storage.key])
        for name, each in tensors.items()
    }


def _numbers(file, dtype):
    (count,) = struct.unpack("<q", file.read(8))
    content = file.read(count * dtype.itemsize) if count >= 0 else b""
    if len(content) != count * dtype.itemsize:
        raise ValueError("it ends early")
    return np.frombuffer(content, dtype)


def _array(tensor, numbers):
    """Returns the numbers of a tensor; none may lie beyond its storage."""
    shape, strides = tensor.shape, tensor.strides
    if len(shape) != len(strides) or min((tensor.offset, *shape, *strides)) < 0:
        raise ValueError(f"it has a tensor of shape {shape}")
    if not math.prod(shape):
        return np.zeros(shape, numbers.dtype)
    last = tensor.offset + sum(
        (size - 1) * stride for size, stride in zip(shape, strides, strict=True)
    )
    if last >= len(numbers):
        raise ValueError(f"it has a tensor of shape {shape} past its storage")
    return np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :],
        shape,
        [stride * numbers.itemsize for stride in strides],
    ).copy()
