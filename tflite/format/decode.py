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
# code, "string", "bytes" (decoded to a view of them), a table, "[...]" of
# these, "options" (a union, see `_OPTIONS`), or "refused".
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

# Members of the BuiltinOptions union: those that `tflite.format.operator_rules`
# looks at, and all that hold more than numbers. A third item is what an absent
# number means, where that is not 0.
_STRIDES = {
    0: ("padding", "b"),
    1: ("stride_w", "i"),
    2: ("stride_h", "i"),
}
_ACTIVATION = {0: ("activation", "b")}
_OPTIONS = {
    # Conv2D
    1: _STRIDES
    | {
        3: ("activation", "b"),
        4: ("dilation_w", "i", 1),
        5: ("dilation_h", "i", 1),
    },
    # DepthwiseConv2D
    2: _STRIDES
    | {
        3: ("multiplier", "i"),
        4: ("activation", "b"),
        5: ("dilation_w", "i", 1),
        6: ("dilation_h", "i", 1),
    },
    3: {1: ("num_columns", "[i]"), 2: ("embedding_dim", "[i]")},
    # Pool2D
    5: _STRIDES
    | {
        3: ("filter_width", "i"),
        4: ("filter_height", "i"),
        5: ("activation", "b"),
    },
    # FullyConnected
    8: _ACTIVATION
    | {
        1: ("weights_format", "b"),
        2: ("keep_num_dims", "?"),
        5: ("quant_spec", "bytes"),
    },
    9: {0: ("beta", "f")},  # Softmax
    10: {0: ("axis", "i"), 1: ("activation", "b")},  # Concatenation
    11: _ACTIVATION,  # Add
    17: {0: ("new_shape", "[i]")},  # Reshape
    21: _ACTIVATION,  # Mul
    27: {0: ("keep_dims", "?")},  # Reducer
    28: _ACTIVATION,  # Sub
    29: _ACTIVATION,  # Div
    30: {0: ("squeeze_dims", "[i]")},  # Squeeze
    # StridedSlice
    32: {
        0: ("begin_mask", "i"),
        1: ("end_mask", "i"),
        2: ("ellipsis_mask", "i"),
        3: ("new_axis_mask", "i"),
        4: ("shrink_axis_mask", "i"),
        5: ("offset", "?"),
    },
    35: {0: ("count", "i")},  # Split
    49: _STRIDES | {3: ("activation", "b")},  # TransposeConv
    59: {0: ("count", "i"), 1: ("axis", "i")},  # Pack
    64: {0: ("count", "i"), 1: ("axis", "i")},  # Unpack
    75: {0: ("alpha", "f")},  # LeakyRelu
    77: {0: ("mode", "b")},  # MirrorPad
    101: {0: ("adjoint_x", "?"), 1: ("adjoint_y", "?")},  # BatchMatMul
    111: {0: ("container", "string"), 1: ("shared_name", "string")},
    115: {0: ("boundaries", "[f]")},  # Bucketize
}


_NUMBERS = {code: struct.Struct("<" + code) for code in "bBHiIqQf?"}
_KINDS = {row[1] for table in _TABLES.values() for row in table.values()}
_KINDS |= {row[1] for table in _OPTIONS.values() for row in table.values()}
# What a value takes in its table or vector, in bytes; and what it means that
# there is none.
_WIDTHS = dict.fromkeys([*_KINDS, *_TABLES], 4)
_WIDTHS |= {code: number.size for code, number in _NUMBERS.items()}
_ABSENT = {
    kind: () if kind.startswith("[") else None for kind in _KINDS
} | dict.fromkeys(_NUMBERS, 0)
_ABSENT |= {"string": "", "bytes": memoryview(b"")}


# What the tree of a model may take in memory. Python holds a number in some 40
# bytes, a table in a thousand. An honest model of ten thousand tensors has a
# tenth; a small file could have a million tables, all of them the same bytes.
_MAX_DECODED_BYTES = 2**28
_NUMBER_BYTES, _TABLE_BYTES = 40, 1000


class InvalidModel(ValueError):
    """Says that a file is damaged, no .tflite model, or uses what we refuse."""


class Unsupported(InvalidModel):
    """Says that a file may be sound, but has what is not carried here."""


# What a refused field holds.
_REFUSED = {
    "external_buffer_groups": "data outside of the file",
    "external_buffers": "data outside of the file",
    "sparsity": "sparse weights",
    "variant_tensors": "variant tensors",
    "details": "blockwise or custom quantization",
    "options_2": "StableHLO operators",
}


def decode(data: bytes) -> SimpleNamespace:
    """Returns the model in `data` as a tree of `SimpleNamespace`.

    Absent numbers are what the schema says, mostly 0; absent strings and
    vectors empty, absent tables None. Buffers are views of `data`.

    Raises:
        InvalidModel: if it is no .tflite file, if something lies outside of
            it.
        Unsupported: if a field is there that is refused.
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
        self._memory = _MAX_DECODED_BYTES
        self._layouts: dict[int, tuple[int, tuple[int, ...]]] = {}

    def model(self) -> SimpleNamespace:
        return self._table(_TABLES["Model"], self._number("I", 0))

    def _number(self, code: str, at: int):
        number = _NUMBERS[code]
        if 0 <= at <= len(self._data) - number.size:
            return number.unpack_from(self._data, at)[0]
        raise self._outside(at, number.size)

    def _outside(self, at: int, size: int) -> InvalidModel:
        return InvalidModel(
            f"{size} bytes at {at} are outside of the file's "
            f"{len(self._data)} bytes"
        )

    def _spend(self, size: int, memory: int) -> None:
        self._budget -= size
        self._memory -= memory
        if self._budget < 0:
            raise InvalidModel("its tables refer to more than the file holds")
        if self._memory < 0:
            raise InvalidModel(
                "its tables must take at most "
                f"{_MAX_DECODED_BYTES} bytes of memory. Received: more"
            )

    def _table(self, fields: dict, at: int) -> SimpleNamespace:
        layout = at - self._number("i", at)
        # Tables that look alike share one.
        if layout not in self._layouts:
            self._layouts[layout] = self._layout(layout)
        size, offsets = self._layouts[layout]
        self._spend(8 + 2 * len(offsets), _TABLE_BYTES)
        if at + size > len(self._data):
            raise self._outside(at, size)
        found = {}
        for slot, (field, kind, *default) in fields.items():
            offset = offsets[slot] if slot < len(offsets) else 0
            if not offset:
                found[field] = default[0] if default else _ABSENT[kind]
                continue
            if offset + _WIDTHS[kind] > size:
                raise InvalidModel(f"`{field}` at {at} is outside of its table")
            if kind == "options":
                kind = _OPTIONS.get(found["options_type"], {})
            found[field] = self._value(kind, at + offset, field)
        return SimpleNamespace(**found)

    def _layout(self, at: int) -> tuple[int, tuple[int, ...]]:
        """Reads a table's size, and the offsets of its fields by slot."""
        layout_size, size = self._number("H", at), self._number("H", at + 2)
        if layout_size < 4 or layout_size % 2:
            raise InvalidModel(f"the table layout at {at} is not valid")
        if at + layout_size > len(self._data):
            raise self._outside(at, layout_size)
        slots = layout_size // 2 - 2
        offsets = struct.unpack_from(f"<{slots}H", self._data, at + 4)
        if any(offset >= size for offset in offsets if offset):
            raise InvalidModel(f"the table layout at {at} leads out of it")
        return size, offsets

    def _value(self, kind: str | dict, at: int, field: str):
        if kind == "refused":
            raise Unsupported(_REFUSED.get(field, field))
        if isinstance(kind, str) and kind in _NUMBERS:
            return self._number(kind, at)
        start = at + self._number("I", at)
        if isinstance(kind, dict):
            return self._table(kind, start)
        if kind in _TABLES:
            return self._table(_TABLES[kind], start)
        item = "B" if kind in ("string", "bytes") else kind[1:-1]
        length, width = self._number("I", start), _WIDTHS[item]
        start += 4
        if start + length * width > len(self._data):
            raise self._outside(start, length * width)
        if kind == "bytes":
            return memoryview(self._data)[start : start + length]
        text = kind == "string"
        self._spend(length * width, length * (1 if text else _NUMBER_BYTES))
        if text:
            try:
                return str(self._data[start : start + length], "utf-8")
            except UnicodeDecodeError:
                raise InvalidModel(f"`{field}` is not UTF-8") from None
        if item in _TABLES:
            places = range(start, start + 4 * length, 4)
            return [self._value(item, place, field) for place in places]
        return struct.unpack_from(f"<{length}{item}", self._data, start)
