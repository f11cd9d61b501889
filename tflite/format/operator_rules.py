"""Checks what the operators that we know demand of tensors and options.

A kernel of the runtime checks some of it and takes the rest for granted. A
model whose operators pass here has results of the shapes that it says, hence
known before anything is allocated, and scales wherever a kernel looks for them.

Known are the operators that networks for images become: in float32, in int8,
in float32 with int8 weights. Another one needs a line in `_RULES`.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from types import SimpleNamespace

from tflite.format import products, shapes
from tflite.format.decode import InvalidModel

# Of the schema's TensorType.
FLOAT32, FLOAT16, INT32, INT8 = 0, 1, 2, 9
_NUMBERS = (FLOAT32, INT8)
_MOVABLE = (FLOAT32, INT32, INT8)

# Kernels are written for so many axes, and some abort at more.
_MAX_RANK = 5

_ANY = 100


@dataclasses.dataclass(frozen=True)
class _Rule:
    """Describes what an operator demands.

    Attributes:
        name: The operator's name in the schema.
        shapes: Gives the shapes of the outputs, or refuses.
        options: Member of the union BuiltinOptions; 0 if it needs none.
        inputs: The fewest and the most inputs.
        data: Those inputs that must have the same type; none means all.
        types: Types that it can be.
        result: Types that the outputs can be; none means that of the data.
        weights: The input, one of `data`, that may be int8 beside float32, and
            have a scale per channel along this axis. The bias, if there is
            one, comes after all of `data`.
        outputs: Number of outputs; 0 for any number.
    """

    name: str
    shapes: Callable[[shapes.Node], list[shapes.Shape]]
    options: int = 0
    inputs: tuple[int, int] = (1, 1)
    data: tuple[int, ...] = (0,)
    types: tuple[int, ...] = _NUMBERS
    result: tuple[int, ...] = ()
    weights: tuple[int, int] | None = None
    outputs: int = 1


def knows(code: int) -> bool:
    """Tells whether there is a rule for an operator of this code."""
    return code in _RULES


def check(code: int, options_type: int, node: shapes.Node) -> int:
    """Checks an operator; returns how often its innermost loop runs.

    Args:
        code: Of the schema's BuiltinOperator.
        options_type: Member of its BuiltinOptions.
        node: Its options and tensors.

    Raises:
        InvalidModel: if it is not known, or what it demands does not hold.
    """
    rule = _RULES.get(code)
    if rule is None:
        raise InvalidModel(f"operator code {code} is not known")
    try:
        _check_counts(rule, options_type, node)
        _check_tensors(rule, node)
        expected = rule.shapes(node)
        received = [each.shape for each in node.outputs]
        if expected != received:
            raise InvalidModel(
                f"the outputs must be of the shapes {expected}. "
                f"Received: {received}"
            )
    except InvalidModel as error:
        raise InvalidModel(f"{rule.name}: {error}") from None
    return _steps(rule, node)


def _check_counts(rule: _Rule, options_type: int, node: shapes.Node) -> None:
    fewest, most = rule.inputs
    if not fewest <= len(node.inputs) <= most:
        raise InvalidModel(
            f"there must be {fewest} to {most} inputs. "
            f"Received: {len(node.inputs)}"
        )
    if rule.outputs not in (0, len(node.outputs)):
        raise InvalidModel(
            f"there must be {rule.outputs} outputs. "
            f"Received: {len(node.outputs)}"
        )
    given = 0 if node.options is None else options_type
    if rule.options not in (0, given):
        raise InvalidModel(
            f"the options must be of type {rule.options}. Received: {given}"
        )
    activation = getattr(node.options, "activation", 0)
    if activation not in (0, 1, 2, 3):
        raise InvalidModel(
            f"the activation must be one of 0 to 3. Received: {activation}"
        )


def _check_tensors(rule: _Rule, node: shapes.Node) -> None:
    for tensor in (*node.inputs, *node.outputs):
        if tensor is not None and (
            len(tensor.shape) > _MAX_RANK or 0 in tensor.shape
        ):
            raise InvalidModel(
                f"tensors must have up to {_MAX_RANK} axes, none of them 0. "
                f"Received: {tensor.shape}"
            )
    places = rule.data or range(len(node.inputs))
    data = node.inputs[places[0]]
    for place in places:
        weights = rule.weights is not None and place == rule.weights[0]
        types = (data.type,) if place != places[0] else rule.types
        if weights and data.type == FLOAT32:
            types += (INT8,)
        _check_type(f"input {place}", node.inputs[place], types)
        _check_scales(
            f"input {place}",
            node.inputs[place],
            rule.weights[1] if weights else None,
        )
    for tensor in node.outputs:
        _check_type("an output", tensor, rule.result or (data.type,))
        _check_scales("an output", tensor)
    if rule.weights is not None:
        _check_bias(rule, node)


def _check_type(
    name: str, tensor: SimpleNamespace, types: tuple[int, ...]
) -> None:
    if tensor is None or tensor.type not in types:
        received = None if tensor is None else tensor.type
        raise InvalidModel(
            f"{name} must be of one of the types {types}. Received: {received}"
        )


def _check_scales(
    name: str, tensor: SimpleNamespace, axis: int | None = None
) -> None:
    """Checks that int8 has a scale; one per channel only along `axis`."""
    if tensor.type != INT8:
        return
    facts = tensor.quantization
    scales, points = (facts.scale, facts.zero_point) if facts else ((), ())
    if len(scales) == len(points) == 1:
        return
    if axis is None:
        raise InvalidModel(
            f"{name} must have one scale and one zero point. "
            f"Received: {len(scales)} and {len(points)}"
        )
    if not scales or facts.dimension != axis or any(points) or not points:
        raise InvalidModel(
            f"{name} must have a scale per channel, along axis {axis}, and "
            f"zero points of 0. Received: {len(scales)} along "
            f"{facts.dimension if facts else None}"
        )


def _check_bias(rule: _Rule, node: shapes.Node) -> None:
    place = max(rule.data) + 1
    if not node.has(place) and place >= rule.inputs[0]:
        return
    bias = node.inputs[place]
    data = node.inputs[rule.data[0]].type
    _check_type("the bias", bias, (INT32 if data == INT8 else FLOAT32,))
    channels = node.outputs[0].shape[-1:]
    if bias.shape != channels:
        raise InvalidModel(
            f"the bias must be of the shape {channels}. Received: {bias.shape}"
        )


def _steps(rule: _Rule, node: shapes.Node) -> int:
    results = sum(math.prod(each.shape) for each in node.outputs)
    if rule.weights is not None:
        # Each number of the result sums this many products.
        place, axis = rule.weights
        filter = node.shape(place)
        return results * (math.prod(filter) // filter[axis])
    if rule.name == "BATCH_MATMUL":
        return results * max(node.shape(0)[-2:])
    if rule.shapes is products.pool:
        options = node.options
        return results * options.filter_width * options.filter_height
    return results + math.prod(node.shape(rule.data[0] if rule.data else 0))


def _rules() -> dict[int, _Rule]:
    unary = functools.partial(_Rule, shapes=shapes.same)
    floats = functools.partial(unary, types=(FLOAT32,))
    pair = functools.partial(
        _Rule, shapes=shapes.broadcast, inputs=(2, 2), data=(0, 1)
    )
    weighted = functools.partial(_Rule, inputs=(2, 3), data=(0, 1))
    shaped = functools.partial(_Rule, inputs=(2, 2), types=_MOVABLE)
    return {
        # Sums of products with weights.
        # The kernels of these two read a bias, given or not.
        3: weighted(
            "CONV_2D", products.convolution, 1, inputs=(3, 3), weights=(1, 0)
        ),
        4: weighted(
            "DEPTHWISE_CONV_2D",
            products.depthwise,
            2,
            inputs=(3, 3),
            weights=(1, 3),
        ),
        9: weighted("FULLY_CONNECTED", products.dense, 8, weights=(1, 0)),
        67: _Rule(
            "TRANSPOSE_CONV",
            products.transposed_convolution,
            49,
            inputs=(3, 4),
            data=(2, 1),
            weights=(1, 0),
        ),
        126: pair(
            "BATCH_MATMUL", shapes=products.product_of_matrices, options=101
        ),
        # Windows and whole images.
        1: _Rule("AVERAGE_POOL_2D", products.pool, 5),
        17: _Rule("MAX_POOL_2D", products.pool, 5),
        23: _Rule("RESIZE_BILINEAR", shapes.resized, 15, (2, 2)),
        97: _Rule("RESIZE_NEAREST_NEIGHBOR", shapes.resized, 74, (2, 2)),
        # Two numbers into one.
        0: pair(
            "ADD", shapes=shapes.sum_or_difference, options=11, types=_MOVABLE
        ),
        41: pair(
            "SUB", shapes=shapes.sum_or_difference, options=28, types=_MOVABLE
        ),
        18: pair("MUL", options=21, types=_MOVABLE),
        42: pair("DIV", options=29, types=(FLOAT32,)),
        55: pair("MAXIMUM", types=_MOVABLE),
        57: pair("MINIMUM", types=_MOVABLE),
        78: pair("POW", types=(FLOAT32,)),
        99: pair("SQUARED_DIFFERENCE", types=(FLOAT32,)),
        54: pair("PRELU", shapes=shapes.prelu),
        # One number into one.
        **{
            code: unary(name)
            for code, name in (
                (14, "LOGISTIC"),
                (19, "RELU"),
                (20, "RELU_N1_TO_1"),
                (21, "RELU6"),
                (28, "TANH"),
                (76, "RSQRT"),
                (111, "ELU"),
                (117, "HARD_SWISH"),
                (150, "GELU"),
                (152, "RELU_0_TO_1"),
            )
        },
        **{
            code: floats(name)
            for code, name in (
                (8, "FLOOR"),
                (47, "EXP"),
                (59, "NEG"),
                (66, "SIN"),
                (73, "LOG"),
                (75, "SQRT"),
                (92, "SQUARE"),
                (101, "ABS"),
                (104, "CEIL"),
                (108, "COS"),
                (116, "ROUND"),
            )
        },
        25: _Rule("SOFTMAX", shapes.softmax, 9),
        98: _Rule("LEAKY_RELU", shapes.leaky, 75),
        # Other types.
        6: unary("DEQUANTIZE", types=(FLOAT16, INT8), result=(FLOAT32,)),
        53: unary("CAST", types=(FLOAT32, INT32), result=(FLOAT32, INT32)),
        114: unary("QUANTIZE", result=(INT8,)),
        # Many numbers into one.
        40: _Rule("MEAN", shapes.reduced, 27, (2, 2)),
        74: _Rule("SUM", shapes.reduced, 27, (2, 2)),
        82: _Rule("REDUCE_MAX", shapes.reduced, 27, (2, 2)),
        89: _Rule("REDUCE_MIN", shapes.reduced, 27, (2, 2)),
        # The same numbers elsewhere.
        2: _Rule("CONCATENATION", shapes.joined, 10, (1, _ANY), ()),
        83: _Rule("PACK", shapes.stacked, 59, (1, _ANY), (), _MOVABLE),
        88: _Rule("UNPACK", shapes.unstacked, 64, types=_MOVABLE, outputs=0),
        49: shaped("SPLIT", shapes.split, 35, data=(1,), outputs=0),
        22: _Rule("RESHAPE", shapes.reshaped, 0, (1, 2), types=_MOVABLE),
        39: shaped("TRANSPOSE", shapes.transposed),
        43: _Rule("SQUEEZE", shapes.squeezed, 30, types=_MOVABLE),
        70: shaped("EXPAND_DIMS", shapes.expanded),
        34: shaped("PAD", shapes.padded),
        60: _Rule("PADV2", shapes.padded_with, 0, (3, 3)),
        100: shaped("MIRROR_PAD", shapes.mirrored, 77),
        65: _Rule("SLICE", shapes.sliced, 0, (3, 3), types=_MOVABLE),
        45: _Rule(
            "STRIDED_SLICE", shapes.strided_slice, 32, (4, 4), types=_MOVABLE
        ),
    }


_RULES = _rules()
