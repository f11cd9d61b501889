"""Rewrites arithmetic of `keras.ops`, with numbers and with tensors."""

from typing import Any

import keras
import numpy as np

from keras_dynamic.normal_form.affine import Affine
from keras_dynamic.normal_form.rewrite import Rewrite, refuse
from keras_dynamic.normal_form.rewrites import elementwise, merging
from keras_dynamic.normal_form.site import Site


def _operands(site: Site) -> tuple[Any, Any]:
    """Returns both operands: tensors, or numbers that broadcast to one."""
    first, second = [*site.args, *site.kwargs.values()][:2]
    tensor = site.x
    if not _is_number(first) and not _is_number(second):
        if len(first.shape) != len(second.shape):
            raise refuse(
                f"its operands have {len(first.shape)} and "
                f"{len(second.shape)} axes",
                "give both as many, by a `Reshape`",
            )
        return first, second
    shape = tuple(tensor.shape[1:])
    return tuple(
        _constant(each, shape) if _is_number(each) else each
        for each in (first, second)
    )


def _is_number(operand: Any) -> bool:
    return not isinstance(operand, (keras.KerasTensor, Affine))


def _constant(operand: Any, shape: tuple) -> np.ndarray:
    """Returns numbers without the batch's axis, which must broadcast."""
    numbers = np.asarray(keras.ops.convert_to_numpy(operand), np.float64)
    if numbers.ndim == len(shape) + 1 and numbers.shape[0] == 1:
        numbers = numbers[0]
    try:
        fits = np.broadcast_shapes(numbers.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise refuse(
            f"it has a constant of shape {numbers.shape} for images of shape "
            f"{shape}",
            "let the constant broadcast to an image",
        )
    return numbers


def _add(site: Site) -> Any:
    first, second = _operands(site)
    if _is_number(second):
        return site.affine(first, 1, second, sole=True)
    if _is_number(first):
        return site.affine(second, 1, first, sole=True)
    return site.add(keras.layers.Add, [first, second])


def _subtract(site: Site) -> Any:
    first, second = _operands(site)
    if _is_number(second):
        return site.affine(first, 1, -second, sole=True)
    if _is_number(first):
        return site.affine(second, -1, first, sole=True)
    return site.add(keras.layers.Subtract, [first, second])


def _multiply(site: Site) -> Any:
    first, second = _operands(site)
    if _is_number(second):
        return site.affine(first, second, sole=True)
    if _is_number(first):
        return site.affine(second, first, sole=True)
    return site.add(keras.layers.Multiply, [first, second])


def _divide(site: Site) -> Any:
    first, second = _operands(site)
    if not _is_number(second):
        raise refuse(
            "it divides by a tensor, which has no int8 form in TFLite",
            "divide by a number, or multiply by a sigmoid",
        )
    return site.affine(first, 1 / second, sole=True)


def _power(site: Site) -> Any:
    first, second = _operands(site)
    if not _is_number(second) or np.any(second != 2):
        raise refuse(
            "it is a power other than the square",
            "write it as products of tensors",
        )
    return site.add(keras.layers.Multiply, [first, first])


def _square(site: Site) -> Any:
    return site.add(keras.layers.Multiply, [site.x, site.x])


def _maximum(site: Site) -> Any:
    return _extreme(site, merging.maximum, 0)


def _minimum(site: Site) -> Any:
    return _extreme(site, merging.minimum, 1)


def _extreme(site, merge, place):
    first, second = _operands(site)
    for operand, other in ((first, second), (second, first)):
        if _is_number(operand):
            if operand.size > 1:
                raise refuse(
                    "it compares with several numbers", "compare with one"
                )
            limits = [None, None]
            limits[place] = float(operand.reshape(-1)[0])
            return elementwise.clip(site, other, "", *limits)
    return merge(site, first, second)


def _clip(site: Site) -> Any:
    limits = (site.operation.x_min, site.operation.x_max)
    if any(np.size(each) > 1 for each in limits):
        raise refuse("it clips at several numbers", "clip at one below, above")
    return elementwise.clip(
        site, site.x, "", *(None if x is None else float(x) for x in limits)
    )


REWRITES = (
    Rewrite(operations=("Add",), apply=_add),
    Rewrite(operations=("Subtract",), apply=_subtract),
    Rewrite(operations=("Multiply",), apply=_multiply),
    Rewrite(operations=("Divide", "TrueDivide"), apply=_divide),
    Rewrite(
        operations=("Negative",),
        apply=lambda site: site.affine(site.x, -1, sole=True),
    ),
    Rewrite(operations=("Power",), apply=_power),
    Rewrite(operations=("Square",), apply=_square),
    Rewrite(operations=("Maximum",), apply=_maximum),
    Rewrite(operations=("Minimum",), apply=_minimum),
    Rewrite(operations=("Clip",), apply=_clip),
)
