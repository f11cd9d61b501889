"""Computes the shapes of operators' results from inputs and options.

Each function takes a `Node` and returns a shape per output, or raises
`InvalidModel` where a kernel of the runtime would do something else than
compute it: divide by a stride of 0, read past an axis, abort. The definitions
are those of the runtime's kernels.
"""

import dataclasses
import math
import struct
from collections.abc import Sequence
from types import SimpleNamespace

from tflite.format.decode import InvalidModel

INT32, INT8 = 2, 9  # Of the schema's TensorType.

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Node:
    """Holds an operator and its tensors, as `decode` gives them.

    Attributes:
        options: None if there are none.
        inputs: None where an optional one is not given.
        constants: The content of those that are constants; None of others.
        outputs: The results.
    """

    options: SimpleNamespace | None
    inputs: Sequence[SimpleNamespace | None]
    constants: Sequence[bytes | None]
    outputs: Sequence[SimpleNamespace]

    def shape(self, place: int) -> Shape:
        """Returns the shape of an input."""
        return self.inputs[place].shape

    def has(self, place: int) -> bool:
        """Tells whether an input is given."""
        return len(self.inputs) > place and self.inputs[place] is not None

    def integers(self, place: int) -> tuple[int, ...]:
        """Returns the numbers of an input that must be an int32 constant.

        Were it computed, the results would have no size before they are.
        """
        tensor, data = self.inputs[place], self.constants[place]
        if data is None or tensor.type != INT32 or len(tensor.shape) > 2:
            raise InvalidModel(f"input {place} must be an int32 constant")
        return struct.unpack(f"<{len(data) // 4}i", data)


def ranked(node: Node, place: int, *ranks: int) -> Shape:
    """Returns the shape of an input that must have so many axes."""
    shape = node.shape(place)
    if len(shape) not in ranks:
        raise InvalidModel(
            f"input {place} must have {' or '.join(map(str, ranks))} axes. "
            f"Received: {shape}"
        )
    return shape


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise InvalidModel(
            f"there must be an axis {axis}. Received: {rank} axes"
        )
    return axis % rank


def same(node: Node) -> list[Shape]:
    """Returns the shape of the input."""
    return [node.shape(0)]


def broadcast(node: Node) -> list[Shape]:
    """Returns the shape to which both inputs stretch."""
    return [stretched(node.shape(0), node.shape(1))]


def stretched(first: Shape, second: Shape) -> Shape:
    """Returns the shape to which two shapes stretch, as numpy's do."""
    rank = max(len(first), len(second))
    pairs = zip(
        (1,) * (rank - len(first)) + first,
        (1,) * (rank - len(second)) + second,
        strict=True,
    )
    shape = []
    for a, b in pairs:
        if a != b and 1 not in (a, b):
            raise InvalidModel(f"{first} and {second} do not go together")
        shape.append(max(a, b))
    return tuple(shape)


def sum_or_difference(node: Node) -> list[Shape]:
    """Returns the shape to which both inputs stretch.

    The kernel aborts where the output's scale is too small for the inputs'.
    """
    if node.outputs[0].type == INT8:
        first, second, result = (
            each.quantization.scale[0]
            for each in (*node.inputs, node.outputs[0])
        )
        if result * 2**19 <= max(first, second):
            raise InvalidModel(
                "the output's scale must not be that much smaller than the "
                f"inputs'. Received: {result}, inputs {first} and {second}"
            )
    return broadcast(node)


def joined(node: Node) -> list[Shape]:
    """Returns the shape of tensors joined along an axis that is there."""
    first = node.shape(0)
    axis = _axis(node.options.axis, len(first))
    length = 0
    for tensor in node.inputs:
        shape = tensor.shape
        if (
            len(shape) != len(first)
            or shape[:axis] + shape[axis + 1 :]
            != first[:axis] + first[axis + 1 :]
        ):
            raise InvalidModel(f"{shape} cannot be joined to {first}")
        length += shape[axis]
    if node.options.activation:
        raise InvalidModel("there is no activation fused to it")
    return [(*first[:axis], length, *first[axis + 1 :])]


def stacked(node: Node) -> list[Shape]:
    """Returns the shape of tensors stacked along a new axis."""
    first = node.shape(0)
    if any(each.shape != first for each in node.inputs):
        raise InvalidModel("all inputs must have the same shape")
    if node.options.count != len(node.inputs):
        raise InvalidModel(f"there must be {node.options.count} inputs")
    axis = _axis(node.options.axis, len(first) + 1)
    return [(*first[:axis], len(node.inputs), *first[axis:])]


def unstacked(node: Node) -> list[Shape]:
    """Returns the shapes of the slices along an axis, which goes."""
    shape = node.shape(0)
    axis = _axis(node.options.axis, len(shape))
    if not node.options.count == shape[axis] == len(node.outputs):
        raise InvalidModel(
            f"there must be {shape[axis]} outputs. "
            f"Received: {len(node.outputs)}, {node.options.count}"
        )
    return [shape[:axis] + shape[axis + 1 :]] * len(node.outputs)


def split(node: Node) -> list[Shape]:
    """Returns the shapes of equal parts along an axis."""
    shape = node.shape(1)
    [axis] = _single(node, 0)
    axis = _axis(axis, len(shape))
    count = node.options.count
    if count != len(node.outputs) or shape[axis] % count:
        raise InvalidModel(
            f"{shape} must be cut into {len(node.outputs)} along {axis}. "
            f"Received: {count}"
        )
    part = (*shape[:axis], shape[axis] // count, *shape[axis + 1 :])
    return [part] * count


def _single(node: Node, place: int) -> tuple[int, ...]:
    numbers = node.integers(place)
    if len(numbers) != 1:
        raise InvalidModel(f"input {place} must be one number")
    return numbers


def reduced(node: Node) -> list[Shape]:
    """Returns the shape without some axes, or with 1 in their places."""
    shape = node.shape(0)
    axes = {_axis(axis, len(shape)) for axis in node.integers(1)}
    if len(node.shape(1)) > 1:
        raise InvalidModel("input 1 must be a list of axes")
    if node.options.keep_dims:
        return [tuple(1 if i in axes else n for i, n in enumerate(shape))]
    return [tuple(n for i, n in enumerate(shape) if i not in axes)]


def resized(node: Node) -> list[Shape]:
    """Returns the shape of images of another height and width."""
    batch, _, _, channels = ranked(node, 0, 4)
    size = node.integers(1)
    if len(size) != 2 or node.shape(1) != (2,) or min(size) < 1:
        raise InvalidModel(f"input 1 must be height and width, not {size}")
    return [(batch, *size, channels)]


def padded(node: Node) -> list[Shape]:
    """Returns the shape with something added on both sides of each axis."""
    shape = ranked(node, 0, 1, 2, 3, 4)
    numbers = node.integers(1)
    if node.shape(1) != (len(shape), 2) or min(numbers) < 0:
        raise InvalidModel(
            f"input 1 must be what is added on both sides of {shape}. "
            f"Received: {numbers}"
        )
    before, after = numbers[::2], numbers[1::2]
    return [
        tuple(a + n + b for a, n, b in zip(before, shape, after, strict=True))
    ]


def padded_with(node: Node) -> list[Shape]:
    """Returns the shape padded with a value that is given."""
    value, data = node.inputs[2], node.inputs[0]
    if value is None or value.type != data.type or math.prod(value.shape) != 1:
        raise InvalidModel("input 2 must be one number of the same type")
    return padded(node)


def mirrored(node: Node) -> list[Shape]:
    """Returns the shape padded with what is there, which must be enough."""
    mode = node.options.mode
    numbers = node.integers(1)
    [shape] = padded(node)
    most = [n - (mode == 0) for n in node.shape(0) for _ in range(2)]
    if mode not in (0, 1) or any(
        n > limit for n, limit in zip(numbers, most, strict=True)
    ):
        raise InvalidModel(f"mode {mode} cannot add {numbers}")
    return [shape]


def reshaped(node: Node) -> list[Shape]:
    """Returns the output's own shape if the numbers asked for lead to it."""
    if node.has(1):
        asked = node.integers(1)
    else:
        # Which other options do not have.
        asked = getattr(node.options, "new_shape", ())
    result = node.outputs[0].shape
    if (
        math.prod(result) != math.prod(node.shape(0))
        or asked.count(-1) > 1
        or len(asked) != len(result)
        or any(a not in (-1, n) for a, n in zip(asked, result, strict=True))
    ):
        raise InvalidModel(f"{node.shape(0)} cannot become {result} by {asked}")
    return [result]


def squeezed(node: Node) -> list[Shape]:
    """Returns the shape without axes of extent 1."""
    shape = node.shape(0)
    axes = {_axis(axis, len(shape)) for axis in node.options.squeeze_dims}
    axes = axes or {i for i, n in enumerate(shape) if n == 1}
    if any(shape[axis] != 1 for axis in axes):
        raise InvalidModel(f"axes {sorted(axes)} of {shape} are not 1")
    return [tuple(n for i, n in enumerate(shape) if i not in axes)]


def expanded(node: Node) -> list[Shape]:
    """Returns the shape with one more axis."""
    shape = node.shape(0)
    [axis] = _single(node, 1)
    axis = _axis(axis, len(shape) + 1)
    return [(*shape[:axis], 1, *shape[axis:])]


def transposed(node: Node) -> list[Shape]:
    """Returns the shape with the axes in another order."""
    shape, order = node.shape(0), node.integers(1)
    if sorted(order) != list(range(len(shape))):
        raise InvalidModel(f"{order} is no order of the axes of {shape}")
    return [tuple(shape[axis] for axis in order)]


def sliced(node: Node) -> list[Shape]:
    """Returns the shape of a part that begins somewhere and has a size."""
    shape, begin, size = node.shape(0), node.integers(1), node.integers(2)
    if not len(begin) == len(size) == len(shape):
        raise InvalidModel(f"{begin} and {size} do not fit {shape}")
    found = tuple(
        n - b if s == -1 else s
        for n, b, s in zip(shape, begin, size, strict=True)
    )
    if any(
        b < 0 or s < 1 or b + s > n
        for n, b, s in zip(shape, begin, found, strict=True)
    ):
        raise InvalidModel(f"{begin} and {size} do not lie in {shape}")
    return [found]


def strided_slice(node: Node) -> list[Shape]:
    """Returns the shape of a slice as in Python, or an index on some axes."""
    shape, options = node.shape(0), node.options
    numbers = [node.integers(place) for place in (1, 2, 3)]
    if options.ellipsis_mask or options.new_axis_mask or options.offset:
        raise InvalidModel("no axes can be added or left open")
    if any(len(each) != len(shape) for each in numbers):
        raise InvalidModel(f"{numbers} do not fit {shape}")
    found = []
    for axis, (n, begin, end, step) in enumerate(
        zip(shape, *numbers, strict=True)
    ):
        bit = 1 << axis
        if not step:
            raise InvalidModel("a stride must not be 0")
        if options.shrink_axis_mask & bit:
            if step != 1 or options.begin_mask & bit or not -n <= begin < n:
                raise InvalidModel(f"there must be {begin} in {shape}")
            continue
        taken = slice(
            None if options.begin_mask & bit else begin,
            None if options.end_mask & bit else end,
            step,
        )
        found.append(len(range(*taken.indices(n))))
    return [tuple(found)]


def softmax(node: Node) -> list[Shape]:
    """Returns the shape of the input; `beta` must be positive."""
    if not 0 < node.options.beta < math.inf or not node.shape(0):
        raise InvalidModel(
            "`beta` must be a positive number and the input have an axis. "
            f"Received: {node.options.beta}, {node.shape(0)}"
        )
    return same(node)


def leaky(node: Node) -> list[Shape]:
    """Returns the shape of the input; `alpha` must be finite."""
    if not math.isfinite(node.options.alpha):
        raise InvalidModel(f"`alpha` must be finite, not {node.options.alpha}")
    return same(node)


def prelu(node: Node) -> list[Shape]:
    """Returns the shape of the input, to which the slopes must stretch."""
    if broadcast(node) != [node.shape(0)]:
        raise InvalidModel(f"{node.shape(1)} does not fit {node.shape(0)}")
    return same(node)
