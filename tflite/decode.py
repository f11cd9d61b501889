"""Decodes .tflite files with every access checked.

A runtime, and the generated schema classes, trust the offsets in a file. Here
each is compared with the file's bounds before it is followed. Needs the
standard library only.
"""

import struct
from types import SimpleNamespace

IDENTIFIER = b"TFL3"

# The part of the TensorFlow Lite schema (schema.fbs) that a stateless network
# of one subgraph uses: table -> slot -> (field, type). A type is a `struct`
# code, "string", "bytes" (decoded to its length), a table, "[...]" of these,
# "options" (a union, see `_OPTIONS`), or "refused".
_TABLES = {
    "Model": {
        1: ("operator_codes", "[OperatorCode]"),
        2: ("subgraphs", "[SubGraph]"),
        3: ("description", "string"),
        4: ("buffers", "[Buffer]"),
        5: ("metadata_buffer", "[i]"),
        6: ("metadata", "[Metadata]"),
        7: ("signature_defs", "[SignatureDef]"),
        8: ("external_buffer_groups", "refused"),
        9: ("external_buffers", "refused"),
    },
    "OperatorCode": {
        0: ("deprecated_code", "b"),
        1: ("custom_code", "string"),
        3: ("code", "i"),
    },
    "SubGraph": {
        0: ("tensors", "[Tensor]"),
        1: ("inputs", "[i]"),
        2: ("outputs", "[i]"),
        3: ("operators", "[Operator]"),
        4: ("name", "string"),
    },
    "Tensor": {
        0: ("shape", "[i]"),
        1: ("type", "b"),
        2: ("buffer", "I"),
        3: ("name", "string"),
        4: ("quantization", "Quantization"),
        5: ("is_variable", "?"),
        6: ("sparsity", "refused"),
        7: ("shape_signature", "[i]"),
        9: ("variant_tensors", "refused"),
        10: ("external_buffer", "I"),
    },
    "Quantization": {
        0: ("min", "[f]"),
        1: ("max", "[f]"),
        2: ("scale", "[f]"),
        3: ("zero_point", "[q]"),
        5: ("details", "refused"),
        6: ("dimension", "i"),
    },
    "Operator": {
        0: ("opcode", "I"),
        1: ("inputs", "[i]"),
        2: ("outputs", "[i]"),
        3: ("options_type", "B"),
        4: ("options", "options"),
        5: ("custom_options", "bytes"),
        7: ("mutating_variable_inputs", "[?]"),
        8: ("intermediates", "[i]"),
        10: ("large_custom_options_size", "Q"),
        12: ("options_2", "refused"),
    },
    "Buffer": {0: ("data", "bytes"), 1: ("offset", "Q"), 2: ("size", "Q")},
    "Metadata": {0: ("name", "string"), 1: ("buffer", "I")},
    "SignatureDef": {
        0: ("inputs", "[TensorMap]"),
        1: ("outputs", "[TensorMap]"),
        2: ("key", "string"),
        4: ("subgraph", "I"),
    },
    "TensorMap": {0: ("name", "string"), 1: ("tensor", "I")},
}

# The members of the BuiltinOptions union that hold more than numbers.
_OPTIONS = {
    3: {1: ("num_columns", "[i]"), 2: ("embedding_dim", "[i]")},
    8: {5: ("quant_spec", "bytes")},  # FullyConnected
    17: {0: ("new_shape", "[i]")},  # Reshape
    30: {0: ("squeeze_dims", "[i]")},  # Squeeze
    111: {0: ("container", "string"), 1: ("shared_name", "string")},
    115: {0: ("boundaries", "[f]")},  # Bucketize
}


class InvalidModel(ValueError):
    """A file that is no .tflite model, is damaged, or uses what we refuse."""


def decode(data: bytes) -> SimpleNamespace:
    """Returns the model in `data` as a tree of `SimpleNamespace`.

    Absent numbers are 0, absent strings and vectors empty, absent tables None;
    the contents of buffers are replaced by their lengths.

    Raises:
        InvalidModel: if it is no .tflite file, if something lies outside of
            it, or if a field is there that is refused.
    """
    if len(data) < 8 or data[4:8] != IDENTIFIER:
        raise InvalidModel(
            f"it must start with the identifier {IDENTIFIER!r} at byte 4. "
            f"Received: {len(data)} bytes, {data[4:8]!r}"
        )
    return _Decoder(data).model()


class _Decoder:
    """Decodes the tables of `_TABLES`; the depth is bounded by the schema."""

    def __init__(self, data: bytes):
        self._data = data
        # Offsets that meet in one place would let a small file expand without
        # end; an honest file is read about once.
        self._budget = 8 * len(data)

    def model(self) -> SimpleNamespace:
        return self._table(_TABLES["Model"], self._number("I", 0))

    def _number(self, code: str, at: int):
        self._bound(at, struct.calcsize("<" + code))
        return struct.unpack_from("<" + code, self._data, at)[0]

    def _bound(self, at: int, size: int) -> None:
        if at < 0 or at + size > len(self._data):
            raise InvalidModel(
                f"{size} bytes at {at} are outside of the file's "
                f"{len(self._data)} bytes"
            )

    def _spend(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise InvalidModel("its tables refer to more than the file holds")

    def _table(self, fields: dict, at: int) -> SimpleNamespace:
        vtable = at - self._number("i", at)
        vtable_size = self._number("H", vtable)
        size = self._number("H", vtable + 2)
        if vtable_size < 4 or vtable_size % 2:
            raise InvalidModel(f"the table at {at} has no valid layout")
        self._spend(4 + vtable_size)
        self._bound(vtable, vtable_size)
        self._bound(at, size)
        offsets = {
            slot: self._number("H", vtable + 4 + 2 * slot)
            for slot in range((vtable_size - 4) // 2)
        }
        found = {}
        for slot, (field, kind) in fields.items():
            offset = offsets.pop(slot, 0)
            if offset and offset + _width(kind) > size:
                raise InvalidModel(f"`{field}` at {at} is outside of its table")
            if kind == "options" and offset:
                kind = _OPTIONS.get(found["options_type"], {})
            found[field] = (
                self._value(kind, at + offset, field)
                if offset
                else _absent(kind)
            )
        if any(offset >= size for offset in offsets.values() if offset):
            raise InvalidModel(f"a field at {at} is outside of its table")
        return SimpleNamespace(**found)

    def _value(self, kind: str | dict, at: int, field: str):
        if kind == "refused":
            raise InvalidModel(f"`{field}` is not supported")
        if isinstance(kind, dict):
            return self._table(kind, at + self._number("I", at))
        if kind in _TABLES:
            return self._table(_TABLES[kind], at + self._number("I", at))
        if len(kind) == 1:
            return self._number(kind, at)
        item = "B" if kind in ("string", "bytes") else kind[1:-1]
        start = at + self._number("I", at)
        length = self._number("I", start)
        start += 4
        self._bound(start, length * _width(item))
        if kind == "bytes":
            return length
        self._spend(length * _width(item))
        if kind == "string":
            try:
                return str(self._data[start : start + length], "utf-8")
            except UnicodeDecodeError:
                raise InvalidModel(f"`{field}` is not UTF-8") from None
        if item in _TABLES:
            places = range(start, start + 4 * length, 4)
            return [self._value(item, place, field) for place in places]
        return struct.unpack_from(f"<{length}{item}", self._data, start)


def _width(kind: str) -> int:
    """Returns the bytes a value takes in its table or vector."""
    return struct.calcsize("<" + kind) if len(kind) == 1 else 4


def _absent(kind: str):
    """Returns what a field that is not in the file means."""
    if kind == "string":
        return ""
    if kind == "bytes" or len(kind) == 1:
        return 0
    return () if kind.startswith("[") else None
