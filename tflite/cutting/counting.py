"""Counts multiply-adds and parameters of a .tflite model's operators."""

import dataclasses
import math

from tflite.cutting import dependencies
from tflite.format import model_file

# Their weights are the second input, their bias the last.
_WITH_WEIGHTS = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "TRANSPOSE_CONV",
)


@dataclasses.dataclass(frozen=True)
class Operations:
    """Holds a model's multiply-adds for one image, and its parameters.

    Attributes:
        madds: Multiply-adds of its convolutions, fully connected layers and
            products of matrices, as `keras_dynamic.graph.cost` counts them.
        params: Numbers that the model holds: weights, biases, and factors and
            summands per channel. Fewer than those of the layers it came from
            where the converter folded a normalisation into a convolution.
    """

    madds: int
    params: int


def count(model: bytes) -> Operations:
    """Counts the operators of `model` that constants alone do not determine.

    Raises:
        flatbuffer.InvalidModel: if `model` is damaged.
    """
    from ai_edge_litert import schema_py_generated as schema

    whole = model_file.read(model)
    graph = whole.subgraphs[0]
    codes = [model_file.operator_name(each) for each in whole.operatorCodes]
    _, varying = dependencies.static_operators(graph)
    computed = set(dependencies.tensors(graph.inputs))
    computed.update(dependencies.written_by(graph, varying))
    # Shapes and axes are no parameters.
    kinds = schema.TensorType
    sizes = (kinds.INT32, kinds.INT64, kinds.BOOL)
    madds, held = 0, set()
    for index in sorted(varying):
        operator = graph.operators[index]
        name = codes[operator.opcodeIndex]
        try:
            madds += _madds(graph, operator, name)
        except IndexError as error:
            raise model_file.InvalidModel(
                "`model` must have tensors of the axes that its operators "
                f"need. Received: {name} of {_shapes(graph, operator)}"
            ) from error
        if name in _WITH_WEIGHTS:
            numbers = dependencies.tensors(operator.inputs[1:])
        else:
            # A single factor, such as the 1/6 of a hard sigmoid, is none.
            numbers = [
                tensor
                for tensor in dependencies.tensors(operator.inputs)
                if graph.tensors[tensor].type not in sizes
                and _size(graph, tensor) > 1
            ]
        held.update(numbers)
    held -= computed
    return Operations(madds, sum(_size(graph, tensor) for tensor in held))


def _madds(graph, operator, name: str) -> int:
    def shape(tensor: int) -> list[int]:
        return _shape(graph, tensor)

    [after, *_] = map(shape, operator.outputs)
    if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        # A filter's numbers are used once at every place of the result.
        return math.prod(shape(operator.inputs[1])) * math.prod(after[1:-1])
    if name == "TRANSPOSE_CONV":
        image = shape(operator.inputs[2])
        return math.prod(shape(operator.inputs[1])) * math.prod(image[1:-1])
    if name == "FULLY_CONNECTED":
        return math.prod(after) * shape(operator.inputs[1])[1]
    if name == "BATCH_MATMUL":
        axis = -2 if operator.builtinOptions.adjX else -1
        return math.prod(after) * shape(operator.inputs[0])[axis]
    return 0


def _shape(graph, tensor: int) -> list[int]:
    shape = graph.tensors[tensor].shape
    return [] if shape is None else [int(extent) for extent in shape]


def _shapes(graph, operator) -> list[list[int]]:
    return [_shape(graph, each) for each in operator.inputs if each >= 0]


def _size(graph, tensor: int) -> int:
    return math.prod(_shape(graph, tensor))
