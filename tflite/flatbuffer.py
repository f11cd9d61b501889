"""Reads, checks and writes .tflite files.

A runtime trusts the offsets in the file it is handed. `verify` follows each of
them first, in plain Python and without the generated schema classes, so that a
damaged file is an `InvalidModel` and never a crash of the process.
"""

import copy
import math
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

# TensorType -> bits of one element. STRING, RESOURCE and VARIANT have no fixed
# size and are refused.
_BITS = {0: 32, 1: 16, 2: 32, 3: 8, 4: 64, 6: 8, 7: 16, 8: 64, 9: 8, 10: 64}
_BITS |= {11: 128, 12: 64, 15: 32, 16: 16, 17: 4, 18: 16, 19: 2, 20: 4}
_BITS |= {21: 8, 22: 8}
_UNSIGNED = {3, 12, 15, 16, 20}

# XNNPACK takes normal numbers only for a scale.
_SMALLEST_SCALE = 2.0**-126

# BuiltinOperator -> the first of its inputs that may be left out (-1): mostly
# the bias. Kernels do not expect it of any other operator.
_OPTIONAL_FROM = {3: 2, 4: 2, 9: 2, 67: 3, 132: 2, 141: 3}  # Convolution, dense
_OPTIONAL_FROM |= {27: 3, 16: 1, 44: 1, 46: 1, 52: 1, 32: 0}  # SVDF to custom

MAX_TENSOR_BYTES = 2**30


class InvalidModel(ValueError):
    """A file that is no .tflite model, is damaged, or uses what we refuse."""


def verify(data: bytes, name: str = "model") -> None:
    """Checks that `data` is a .tflite file that can be handed to a runtime.

    Every offset, length and index is followed and must stay in bounds, every
    constant must have exactly the bytes of its shape and type, and every
    operator's inputs must be there before it runs. Refused as well: more than
    one subgraph (control flow), variables and resources, strings, sparse or
    blockwise quantized weights, StableHLO operators, data outside the file.
    Bytes after the flatbuffer (a metadata zip) are not looked at.

    What no reader of the file can know: whether an operator accepts its
    shapes and options. That is the runtime's to say, when it allocates.

    Raises:
        InvalidModel: if one of these does not hold.
    """
    if not isinstance(data, bytes):
        raise InvalidModel(
            f"`{name}` must be bytes. Received: {type(data).__name__}"
        )
    try:
        if len(data) < 8 or data[4:8] != IDENTIFIER:
            raise InvalidModel(
                f"it must start with the identifier {IDENTIFIER!r} at byte 4. "
                f"Received: {len(data)} bytes, {data[4:8]!r}"
            )
        _check_model(_Decoder(data).root())
    except InvalidModel as error:
        raise InvalidModel(
            f"`{name}` is not a usable .tflite model: {error}"
        ) from None


def read(data: bytes, name: str = "model"):
    """Unpacks a verified file into the object API's `ModelT`.

    The arrays of the result are views of `data`.

    Raises:
        InvalidModel: as `verify`.
    """
    from ai_edge_litert import schema_py_generated as schema

    verify(data, name)
    try:
        return schema.ModelT.InitFromPackedBuf(data, 0)
    except (struct.error, IndexError, TypeError, ValueError) as error:
        # An operator's options, of which `verify` knows the outline only.
        raise InvalidModel(f"`{name}` cannot be read: {error}") from error


def write(model) -> bytes:
    """Packs a `ModelT`, the same one always into the same bytes.

    A zip of associated files behind the original flatbuffer is not part of
    `ModelT` and is therefore dropped: metadata must be attached last.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    class AlignedBuffer(schema.BufferT):
        # The schema asks for `force_align: 16`, which generated Python code
        # does not do.
        def Pack(self, builder):
            if self.data is not None:
                builder.Prep(16, len(self.data))
            return super().Pack(builder)

    model = copy.copy(model)
    model.buffers = [
        AlignedBuffer(buffer.data, buffer.offset, buffer.size)
        for buffer in model.buffers
    ]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


class _Decoder:
    """Decodes the tables of `_TABLES`; the depth is bounded by the schema."""

    def __init__(self, data: bytes):
        self._data = data
        # Offsets that meet in one place would let a small file expand without
        # end; an honest file is read about once.
        self._budget = 8 * len(data)

    def root(self) -> SimpleNamespace:
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


def _check_model(model: SimpleNamespace) -> None:
    if len(model.subgraphs) != 1:
        raise InvalidModel(
            "it must have one subgraph (no control flow). "
            f"Received: {len(model.subgraphs)}"
        )
    for index, buffer in enumerate(model.buffers):
        # The converter writes 0 or 1 where the data is in place.
        if buffer.offset > 1 or buffer.size > 1:
            raise InvalidModel(f"buffer {index} keeps its data elsewhere")
    if model.buffers and model.buffers[0].data:
        raise InvalidModel("buffer 0 must be empty")
    for entry in model.metadata:
        _check_index("metadata", [entry.buffer], len(model.buffers))
    graph = model.subgraphs[0]
    for index, tensor in enumerate(graph.tensors):
        _check_tensor(f"tensor {index} ({tensor.name})", tensor, model.buffers)
    _check_graph(graph, model)
    for signature in model.signature_defs:
        _check_index("signature", [signature.subgraph], 1)
        for entry in [*signature.inputs, *signature.outputs]:
            _check_index("signature", [entry.tensor], len(graph.tensors))


def _check_tensor(name: str, tensor: SimpleNamespace, buffers: list) -> None:
    if tensor.type not in _BITS:
        raise InvalidModel(
            f"{name} must have a type of fixed size; strings and resources "
            f"are not supported. Received: TensorType {tensor.type}"
        )
    if tensor.is_variable or tensor.external_buffer:
        raise InvalidModel(f"{name} is a variable or outside of the file")
    shape, signature = tensor.shape, tensor.shape_signature
    size = (math.prod(shape) * _BITS[tensor.type] + 7) // 8
    if any(extent < 0 for extent in shape) or size > MAX_TENSOR_BYTES:
        raise InvalidModel(
            f"{name} must have extents >= 0 and at most {MAX_TENSOR_BYTES} "
            f"bytes. Received: shape {shape}"
        )
    if signature and (
        len(signature) != len(shape)
        or any(s not in (-1, e) for s, e in zip(signature, shape, strict=True))
    ):
        raise InvalidModel(f"{name} has shape {shape}, signature {signature}")
    _check_index(name, [tensor.buffer], len(buffers))
    stored = buffers[tensor.buffer].data
    if stored and stored != size:
        raise InvalidModel(
            f"{name} must be {size} bytes for its shape {shape}. "
            f"Received: {stored} bytes"
        )
    if tensor.quantization is not None:
        _check_quantization(name, tensor, tensor.quantization)


def _check_quantization(
    name: str, tensor: SimpleNamespace, quantization: SimpleNamespace
) -> None:
    scales, points = quantization.scale, quantization.zero_point
    if len(scales) > 1:
        _check_index(name, [quantization.dimension], len(tensor.shape))
        if len(scales) != tensor.shape[quantization.dimension]:
            raise InvalidModel(
                f"{name} has {len(scales)} scales along dimension "
                f"{quantization.dimension} of {tensor.shape}"
            )
    if len(points) not in (0, 1, len(scales)):
        raise InvalidModel(
            f"{name} has {len(scales)} scales and {len(points)} zero points"
        )
    if not all(_SMALLEST_SCALE <= scale < math.inf for scale in scales):
        raise InvalidModel(f"{name} has a scale that is no positive number")
    bits = _BITS[tensor.type]
    low = 0 if tensor.type in _UNSIGNED else -(2 ** (bits - 1))
    if not all(low <= point < low + 2**bits for point in points):
        raise InvalidModel(f"{name} has a zero point that its type cannot hold")


def _check_graph(graph: SimpleNamespace, model: SimpleNamespace) -> None:
    count = len(graph.tensors)
    _check_index("input", graph.inputs, count)
    _check_index("output", graph.outputs, count)
    constant = {
        index
        for index, tensor in enumerate(graph.tensors)
        if model.buffers[tensor.buffer].data or 0 in tensor.shape
    }
    ready = constant | set(graph.inputs)
    if len(ready) != len(constant) + len(graph.inputs):
        raise InvalidModel("an input is a constant or is there twice")
    for index, operator in enumerate(graph.operators):
        name = f"operator {index}"
        _check_index(name, [operator.opcode], len(model.operator_codes))
        if operator.large_custom_options_size:
            raise InvalidModel(f"{name} keeps its options elsewhere")
        _check_index(name, operator.outputs, count)
        code = model.operator_codes[operator.opcode]
        required = _OPTIONAL_FROM.get(max(code.code, code.deprecated_code))
        _check_index(name, operator.inputs[:required], count)
        given = [i for i in operator.inputs if i != -1]
        _check_index(name, given, count)
        spare = [i for i in operator.intermediates if i != -1]
        _check_index(name, spare, count)
        if not ready.issuperset(given):
            raise InvalidModel(f"{name} reads what no one wrote before it")
        written = set(operator.outputs)
        if ready & written or len(written) != len(operator.outputs):
            raise InvalidModel(f"{name} overwrites a tensor")
        ready |= written
    if not ready.issuperset(graph.outputs):
        raise InvalidModel("an output is computed by no operator")


def _check_index(name: str, indices, count: int) -> None:
    for index in indices:
        if not 0 <= index < count:
            raise InvalidModel(
                f"{name} has index {index}; there are {count} to choose from"
            )
