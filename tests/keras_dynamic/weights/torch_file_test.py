"""Tensors are read from PyTorch's files, and nothing else is run."""

import collections
import io
import os
import pickle
import struct
import sys
import types

import numpy as np
import pytest

from keras_dynamic.weights import torch_file

MAGIC = 0x1950A86A20F9469CFC6C


class Storage:
    """Stands for torch.FloatStorage, which is pickled by its name."""


class Tensor:
    def __init__(self, key, offset, shape, strides):
        self.given = key, offset, shape, strides

    def __reduce__(self):
        key, *rest = self.given
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (
            Held(key),
            *rest,
            False,
            collections.OrderedDict(),
        )


class Held:
    def __init__(self, key):
        self.key = key


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, Held):
            kind = sys.modules["torch"].FloatStorage
            return ("storage", kind, value.key, "cpu", 12, None)
        return None


@pytest.fixture(autouse=True)
def torch(monkeypatch):
    """Pretends that there is a torch to write pickles that name it."""

    def _rebuild_tensor_v2(*_):
        raise AssertionError

    top, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    Storage.__module__, Storage.__qualname__ = "torch", "FloatStorage"
    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    top.FloatStorage, utils._rebuild_tensor_v2 = Storage, _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", top)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def written(path, state, *, magic=MAGIC, numbers=range(12), rest=b""):
    file = io.BytesIO()
    for each in (magic, 1001, {"little_endian": True}, state, ["a"]):
        Pickler(file, 2).dump(each)
    values = np.array(numbers, "<f4")
    file.write(struct.pack("<q", 12) + values.tobytes() + rest)
    path.write_bytes(file.getvalue())
    return path


def state(**tensors):
    return collections.OrderedDict(tensors)


def test_tensors_share_a_storage(tmp_path):
    path = written(
        tmp_path / "weights.pth",
        state(
            rows=Tensor("a", 0, (2, 3), (3, 1)),
            turned=Tensor("a", 6, (3, 2), (1, 3)),
            none=Tensor("a", 0, (0, 4), (4, 1)),
        ),
    )
    found = torch_file.read(path)
    values = np.arange(12, dtype=np.float32)
    np.testing.assert_array_equal(found["rows"], values[:6].reshape(2, 3))
    np.testing.assert_array_equal(found["turned"], values[6:].reshape(2, 3).T)
    assert found["none"].shape == (0, 4)


class Command:
    def __reduce__(self):
        return os.mkdir, ("made",)


WHOLE = Tensor("a", 0, (12,), (1,))
DAMAGED = {
    "begins otherwise": {"state": state(a=WHOLE), "magic": 5},
    "ends early": {"state": state(a=WHOLE), "numbers": range(11)},
    "goes on": {"state": state(a=WHOLE), "rest": b"x"},
    "past its storage": {"state": state(a=Tensor("a", 1, (12,), (1,)))},
    "negative": {"state": state(a=Tensor("a", 0, (2,), (-1,)))},
    "no tensors": {"state": state(a=3)},
    "no dict": {"state": [WHOLE]},
    "a command": {"state": state(a=Command())},
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_anything_else_is_refused(damage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    written(path, **DAMAGED[damage])
    with pytest.raises(ValueError, match="`path`"):
        torch_file.read(path)
    assert not (tmp_path / "made").exists()


def test_no_pickle_at_all(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match="`path`"):
        torch_file.read(tmp_path / "weights.pth")
