"""Reads the pickled dicts of CIFAR, which need not be what they say.

Before a pickle is read its opcodes are checked: Python's unpickler takes memory
for whatever an opcode asks for, such as a place in its memo, and calls whatever
an opcode names.
"""

import io
import pickle
import pickletools
from collections.abc import Callable, Mapping

import numpy as np

from pipeline.storage import beam_files

# The largest published file, of the 50,000 training images of CIFAR-100, has
# 155 MB and 400,000 opcodes.
_MAX_BYTES = 256 << 20
_MAX_OPCODES = 1 << 20

# What is in files as they are published, by Python 2 in protocols 0 and 2, and
# in those that Python 3 writes of the same dicts.
_OPCODES = frozenset(
    (
        *("PROTO", "FRAME", "MARK", "STOP", "POP", "POP_MARK"),
        *("NONE", "NEWTRUE", "NEWFALSE"),
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
        *("BINBYTES", "SHORT_BINBYTES"),
        *("EMPTY_LIST", "LIST", "APPEND", "APPENDS"),
        *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"),
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("GET", "BINGET", "LONG_BINGET"),
        *("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"),
        *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
    )
)
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")


def read(path: str) -> Mapping[bytes, object]:
    """Returns the dict in a file, of texts, numbers, lists and uint8 arrays.

    Its keys are bytes: Python 3 may have written them as texts.

    Raises:
        ValueError: The file holds anything else, or more than CIFAR has.
    """
    try:
        data = beam_files.read(path, _MAX_BYTES)
        _check(data)
        found = _Unpickler(data).load()
    except Exception as error:  # Damaged pickles raise errors of any kind.
        raise ValueError(
            f"{path} must be a pickled dict of uint8 arrays, texts and "
            "numbers, as CIFAR is published; what was pickled again with other "
            "types, or with protocol 5, is not read. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(found, dict):
        raise ValueError(
            f"{path} must be a pickled dict. Received: {type(found).__name__}"
        )
    return {
        key.encode() if isinstance(key, str) else key: value
        for key, value in found.items()
    }


def _check(data: bytes) -> None:
    """Raises an error if a pickle takes much more memory than it has bytes."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if opcode.name not in _OPCODES:
            raise pickle.UnpicklingError(f"{opcode.name} is not allowed")
        if count == _MAX_OPCODES:
            raise pickle.UnpicklingError(f"more than {_MAX_OPCODES} opcodes")
        # Whoever pickles counts what is put into the memo.
        if opcode.name in _PUTS and argument > count:
            raise pickle.UnpicklingError(
                f"{opcode.name} {argument} is no place"
            )


class _Unpickler(pickle.Unpickler):
    """Reads dicts, lists, texts and uint8 arrays, and calls nothing else."""

    def __init__(self, data: bytes):
        super().__init__(io.BytesIO(data), encoding="bytes")
        self._left = len(data)

    def find_class(self, module: str, name: str) -> Callable | None:
        """Returns our own stand-ins for the names in NumPy's pickles."""
        if (module, name) == ("_codecs", "encode"):
            return self._latin1
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return _STAND_INS[module, name]

    def _latin1(self, text: str, encoding: str) -> bytes:
        """Returns the bytes that Python 3 pickles as a text for Python 2."""
        # A text may be repeated for a few bytes; no file repeats it.
        self._left -= len(text)
        if self._left < 0:
            raise pickle.UnpicklingError("more bytes than the file has")
        return text.encode("latin-1")


def _empty_array(kind: None, shape: tuple, code: bytes) -> np.ndarray:
    """Returns an array to be filled by its `__setstate__`."""
    return np.empty(0, np.uint8)


def _uint8(code: str | bytes, *flags: object) -> np.dtype:
    if code not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"arrays of {code!r} are not allowed")
    return np.dtype(np.uint8)


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy", "ndarray"): None,  # Only an argument of the one above.
    ("numpy", "dtype"): _uint8,
}
