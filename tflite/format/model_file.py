"""Checks, reads and writes .tflite files.

A runtime trusts the file it is handed. `verify` looks at it first, in plain
Python, so that a damaged file is an `InvalidModel` and not a crash of the
process. It needs the standard library only; `read` and `write` need the
schema classes that come with ai-edge-litert. tests/fuzz/ tries what passes.
"""

import copy
import math
import struct
from types import SimpleNamespace

from tflite.format import decode, operator_rules, shapes

InvalidModel = decode.InvalidModel
Unsupported = decode.Unsupported

MAX_TENSOR_BYTES = 2**30

# Of all tensors that are computed, were none to lie where another was, with the
# constants that each operator reads, which it may pack anew; and of how often
# all innermost loops run. The unsplit RANet "model1" for CIFAR-10 has 5 MB and
# 63 million; images of 224 x 224 have 49 times the pixels.
MAX_MEMORY_BYTES = 2**28
MAX_STEPS = 2**36

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


def verify(data: bytes, name: str = "model", *, strict: bool = True) -> int:
    """Checks that `data` is a .tflite file that can be handed to a runtime.

    Every offset, length and index is followed and must stay in bounds, every
    constant must have exactly the bytes of its shape and type, and every
    operator's inputs must be there before it runs. Each operator must be one
    that `tflite.format.operator_rules` knows, get the types, scales and options
    that its kernel takes for granted, and give results of the shapes that the
    file says; together they must need no more than `MAX_MEMORY_BYTES` and
    `MAX_STEPS`.

    Without `strict` an operator that has no rule passes: its tensors are there
    and in bounds, but what its kernel takes for granted nobody has checked.
    That is for models whose maker is trusted; `unruled` names such operators.

    Refused as well: more than one subgraph (control flow), variables and
    resources, strings, sparse or blockwise quantized weights, StableHLO
    operators, data outside the file. Bytes after the flatbuffer (a metadata
    zip) are not looked at.

    Returns:
        The bytes that it may need to run, as `MAX_MEMORY_BYTES` counts them.

    Raises:
        InvalidModel: if one of these does not hold; `Unsupported`, which is
            one, for what a sound file may have.
    """
    return _check(data, name, run=True, strict=strict)


def unruled(data: bytes) -> tuple[str, ...]:
    """Names the operators that `tflite.format.operator_rules` has no rule for.

    Args:
        data: A .tflite file that `verify` accepts, strictly or not.
    """
    model = decode.decode(data)
    codes = {_code(each, model) for each in model.subgraphs[0].operators}
    return tuple(
        _builtin_name(code)
        for code in sorted(codes)
        if not operator_rules.knows(code)
    )


def _builtin_name(code: int) -> str:
    """Returns an operator's name where the schema is there to tell it."""
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError:
        return f"operator code {code}"
    names = {v: k for k, v in vars(schema.BuiltinOperator).items()}
    return names.get(code, f"operator code {code}")


def read(data: bytes, name: str = "model"):
    """Unpacks a file into the object API's `ModelT`.

    The arrays of the result are views of `data`. What `verify` says of
    operators need not hold: a file can be read, and cut, that cannot be run.

    Raises:
        InvalidModel: as `verify`, but for that.
    """
    from ai_edge_litert import schema_py_generated as schema

    _check(data, name, run=False)
    try:
        return schema.ModelT.InitFromPackedBuf(data, 0)
    except (struct.error, IndexError, TypeError, ValueError) as error:
        # The options of an operator of which `decode` knows the outline only.
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
    builder.Finish(model.Pack(builder), decode.IDENTIFIER)
    return bytes(builder.Output())


def operator_name(code) -> str:
    """Returns the name of an `OperatorCodeT`: CONV_2D, or a custom one's."""
    if code.customCode:
        return code.customCode.decode()
    # Codes from 127 on do not fit into the deprecated field.
    return _builtin_name(max(code.builtinCode, code.deprecatedBuiltinCode))


def text(name: bytes | str | None) -> str:
    """Returns a name of a `ModelT`, which has None where the file has none."""
    return name.decode() if isinstance(name, bytes) else name or ""


def _check(data: bytes, name: str, run: bool, strict: bool = True) -> int:
    """Checks a file; returns the bytes that running it takes, 0 if not run."""
    if not isinstance(data, bytes):
        raise InvalidModel(
            f"`{name}` must be bytes. Received: {type(data).__name__}"
        )
    try:
        model = decode.decode(data)
        _check_model(model)
        return _check_operators(model, strict) if run else 0
    except Unsupported as error:
        raise Unsupported(
            f"`{name}` must be a model of one subgraph without variables, "
            f"sparse weights and the like, to be checked and cut. "
            f"Received: {error}"
        ) from None
    except InvalidModel as error:
        raise InvalidModel(
            f"`{name}` is not a usable .tflite model: {error}"
        ) from None


def _check_model(model: SimpleNamespace) -> None:
    if len(model.subgraphs) != 1:
        raise Unsupported(
            f"{len(model.subgraphs)} subgraphs, as control flow or several "
            "signatures make them"
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
        for side in ("inputs", "outputs"):
            named = {entry.tensor for entry in getattr(signature, side)}
            if not named.issubset(getattr(graph, side)):
                raise InvalidModel(f"its signature names other {side}")


def _check_tensor(name: str, tensor: SimpleNamespace, buffers: list) -> None:
    if tensor.type not in _BITS:
        raise Unsupported(
            f"{name} of TensorType {tensor.type}, such as text, which has no "
            "fixed size"
        )
    if tensor.is_variable or tensor.external_buffer:
        raise Unsupported(f"{name}, a variable or outside of the file")
    shape, signature = tensor.shape, tensor.shape_signature
    size = _bytes(tensor)
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
    stored = len(buffers[tensor.buffer].data)
    if stored and stored != size:
        raise InvalidModel(
            f"{name} must be {size} bytes for its shape {shape}. "
            f"Received: {stored} bytes"
        )
    if tensor.quantization is not None:
        _check_quantization(name, tensor, tensor.quantization)


def _bytes(tensor: SimpleNamespace) -> int:
    return (math.prod(tensor.shape) * _BITS[tensor.type] + 7) // 8


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
        required = _OPTIONAL_FROM.get(_code(operator, model))
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


def _code(operator: SimpleNamespace, model: SimpleNamespace) -> int:
    code = model.operator_codes[operator.opcode]
    # Codes from 127 on do not fit into the deprecated field.
    return max(code.code, code.deprecated_code)


def _check_operators(model: SimpleNamespace, strict: bool) -> int:
    """Checks all operators; returns the bytes that they need."""
    graph = model.subgraphs[0]
    contents = [
        model.buffers[tensor.buffer].data or None for tensor in graph.tensors
    ]
    memory = sum(
        _bytes(tensor)
        for tensor, content in zip(graph.tensors, contents, strict=True)
        if content is None
    )
    steps = 0
    for index, operator in enumerate(graph.operators):
        custom = model.operator_codes[operator.opcode].custom_code
        if custom:
            raise InvalidModel(f"operator {index}, {custom!r}, is not known")
        code = _code(operator, model)
        if not operator_rules.knows(code):
            if strict:
                raise InvalidModel(
                    f"operator {index}, {_builtin_name(code)}, has no rule; "
                    "`strict=False` (--nostrict) runs it, if its maker is "
                    "trusted"
                )
            continue
        given = [None if i == -1 else i for i in operator.inputs]
        constants = [None if i is None else contents[i] for i in given]
        memory += sum(len(each) for each in constants if each is not None)
        node = shapes.Node(
            operator.options,
            [None if i is None else graph.tensors[i] for i in given],
            constants,
            [graph.tensors[i] for i in operator.outputs],
        )
        try:
            steps += operator_rules.check(code, operator.options_type, node)
        except InvalidModel as error:
            raise InvalidModel(f"operator {index}, {error}") from None
    if memory > MAX_MEMORY_BYTES or steps > MAX_STEPS:
        raise InvalidModel(
            f"it must need at most {MAX_MEMORY_BYTES} bytes and {MAX_STEPS} "
            f"steps. Received: {memory} bytes, {steps} steps"
        )
    return memory


def _check_index(name: str, indices, count: int) -> None:
    for index in indices:
        if not 0 <= index < count:
            raise InvalidModel(
                f"{name} has index {index}; there are {count} to choose from"
            )
