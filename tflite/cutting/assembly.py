"""Packs some operators of a .tflite model as a model of their own."""

import copy
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tflite.cutting import dependencies
from tflite.format import model_file

SIGNATURE = "serving_default"

# Of the original's metadata entries only this one is true of every part: the
# oldest runtime that has all operators. Segments run no newer ones.
_LASTING_METADATA = b"min_runtime_version"


def assemble(
    whole,
    part: Sequence[int],
    inputs: Sequence[int],
    outputs: Sequence[int],
    names: Sequence[str],
    zeros: Collection[int] = (),
) -> bytes:
    """Returns a model of the operators `part`, with all that they use.

    Args:
        whole: The original `ModelT`; it is left as it is.
        part: Operators, in an order in which they can run.
        inputs: Tensors that come in.
        outputs: Tensors that go out.
        names: Names of all tensors; the one signature, "serving_default", has
            them.
        zeros: Tensors that become a constant 0 of one element: operators that
            read them must broadcast it.
    """
    from ai_edge_litert import schema_py_generated as schema

    graph = whole.subgraphs[0]
    operators = [copy.copy(graph.operators[index]) for index in part]
    used = {*inputs, *outputs}
    for operator in operators:
        for indices in (
            operator.inputs,
            operator.outputs,
            operator.intermediates,
        ):
            used.update(dependencies.tensors(indices))
    place = {tensor: i for i, tensor in enumerate(sorted(used))}
    place[-1] = -1  # An optional tensor that is not given.

    def placed(indices: Sequence[int] | None) -> list[int] | None:
        return None if indices is None else [place[int(i)] for i in indices]

    codes = sorted({operator.opcodeIndex for operator in operators})
    for operator in operators:
        operator.opcodeIndex = codes.index(operator.opcodeIndex)
        operator.inputs = placed(operator.inputs)
        operator.outputs = placed(operator.outputs)
        operator.intermediates = placed(operator.intermediates)
        operator.debugMetadataIndex = -1

    # Buffer 0 is the empty one by convention. Tensors that shared a buffer
    # still do.
    buffers = [schema.BufferT()]
    moved = {}

    def move(index: int) -> int:
        if not len(_data(whole.buffers[index])):
            return 0
        if index not in moved:
            moved[index] = len(buffers)
            buffers.append(whole.buffers[index])
        return moved[index]

    tensors = []
    for index in sorted(used):
        tensor = copy.copy(graph.tensors[index])
        tensor.name = names[index]
        if index in zeros:
            tensor.shape = [1] * len(tensor.shape)
            tensor.shapeSignature = None
            tensor.buffer = len(buffers)
            buffers.append(_zero(tensor))
        else:
            tensor.buffer = move(tensor.buffer)
        tensors.append(tensor)
    metadata = []
    for entry in whole.metadata or []:
        if entry.name == _LASTING_METADATA:
            entry = copy.copy(entry)
            entry.buffer = move(entry.buffer)
            metadata.append(entry)

    def named(indices: Sequence[int]) -> list:
        return [schema.TensorMapT(names[i], place[i]) for i in indices]

    subgraph = schema.SubGraphT(
        tensors=tensors,
        inputs=placed(inputs),
        outputs=placed(outputs),
        operators=operators,
        name=graph.name,
    )
    signature = schema.SignatureDefT(
        inputs=named(inputs),
        outputs=named(outputs),
        signatureKey=SIGNATURE,
        subgraphIndex=0,
    )
    return model_file.write(
        schema.ModelT(
            version=whole.version,
            operatorCodes=[whole.operatorCodes[index] for index in codes],
            subgraphs=[subgraph],
            description=whole.description,
            buffers=buffers,
            metadata=metadata,
            signatureDefs=[signature],
        )
    )


def zero_types() -> Mapping[int, np.dtype]:
    """Returns the types of tensors that can become a constant 0."""
    from ai_edge_litert import schema_py_generated as schema

    types = schema.TensorType
    return {
        types.FLOAT32: np.dtype("<f4"),
        types.INT8: np.dtype(np.int8),
        types.UINT8: np.dtype(np.uint8),
    }


def _zero(tensor):
    from ai_edge_litert import schema_py_generated as schema

    points = getattr(tensor.quantization, "zeroPoint", None)
    point = 0 if points is None else points[0]
    value = np.array(point, zero_types()[tensor.type])
    return schema.BufferT(data=np.frombuffer(value.tobytes(), np.uint8))


def _data(buffer) -> Sequence[int]:
    return () if buffer.data is None else buffer.data
