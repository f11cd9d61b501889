"""Rewrites layers of several inputs as ones of two."""

from typing import Any

import keras

from keras_dynamic.normal_form.rewrite import Rewrite, refuse
from keras_dynamic.normal_form.rewrites import elementwise
from keras_dynamic.normal_form.site import Site


def aligned(site: Site, inputs: list) -> list:
    """Gives all inputs as many axes, as layers that merge do: the second on."""
    most = max(len(each.shape) for each in inputs)
    found = []
    for number, each in enumerate(inputs):
        missing = most - len(each.shape)
        if missing:
            each = site.add(
                keras.layers.Reshape,
                each,
                part=f"input_{number}",
                target_shape=(1,) * missing + tuple(each.shape[1:]),
            )
        found.append(each)
    return found


def pairwise(site: Site, kind: Any, inputs: list, part: str = "") -> Any:
    """Merges inputs by layers of two each, one behind the other."""
    total = inputs[0]
    for number, each in enumerate(inputs[1:], 1):
        last = number == len(inputs) - 1
        name = part if last else f"{part}_{number}".lstrip("_")
        total = site.add(kind, [total, each], part=name)
    return total


def maximum(site: Site, first: Any, second: Any, part: str = "") -> Any:
    """Returns the larger: b + relu(a - b)."""
    more = _excess(site, first, second, part)
    return site.add(keras.layers.Add, [second, more], part=part)


def minimum(site: Site, first: Any, second: Any, part: str = "") -> Any:
    """Returns the smaller: a - relu(a - b)."""
    more = _excess(site, first, second, part)
    return site.add(keras.layers.Subtract, [first, more], part=part)


def _excess(site, first, second, part):
    part = f"{part}_" if part else ""
    difference = site.add(
        keras.layers.Subtract, [first, second], part=f"{part}difference"
    )
    return elementwise.relu(site, difference, f"{part}excess")


def _one_by_one(site: Site, merge: Any) -> Any:
    total, *rest = aligned(site, site.inputs)
    for number, each in enumerate(rest, 1):
        part = "" if number == len(rest) else str(number)
        total = merge(site, total, each, part)
    return total


def _add(site: Site) -> Any:
    return pairwise(site, keras.layers.Add, aligned(site, site.inputs))


def _multiply(site: Site) -> Any:
    return pairwise(site, keras.layers.Multiply, aligned(site, site.inputs))


def _subtract(site: Site) -> Any:
    return site.add(keras.layers.Subtract, aligned(site, site.inputs))


def _average(site: Site) -> Any:
    inputs = aligned(site, site.inputs)
    total = pairwise(site, keras.layers.Add, inputs, "sum")
    return site.affine(total, 1 / len(inputs), sole=True)


def _concatenate(site: Site) -> Any:
    """Concatenates; the operation of `keras.ops` does so, too."""
    axis = site.operation.axis % len(site.inputs[0].shape)
    if axis == 0:
        raise refuse("it concatenates along the batch", "take another `axis`")
    last = axis == len(site.inputs[0].shape) - 1
    return site.add(
        keras.layers.Concatenate, site.inputs, axis=-1 if last else axis
    )


def _stack(site: Site) -> Any:
    shape = site.result_shape
    axis = site.operation.axis % (len(shape) + 1)
    if axis == 0:
        raise refuse("it stacks along the batch", "take another `axis`")
    single = (*shape[: axis - 1], 1, *shape[axis:])
    inputs = [
        site.add(
            keras.layers.Reshape,
            each,
            part=f"input_{number}",
            target_shape=single,
        )
        for number, each in enumerate(site.inputs)
    ]
    return site.add(keras.layers.Concatenate, inputs, axis=axis)


def _scaled_sum(site: Site) -> Any:
    """Rewrites what Inception-ResNet adds a scaled branch with."""
    first, second = site.inputs
    scaled = site.affine(second, site.operation.scale, part="scaled", sole=True)
    return site.add(keras.layers.Add, [first, scaled])


REWRITES = (
    Rewrite(layers=(keras.layers.Add,), apply=_add),
    Rewrite(layers=(keras.layers.Multiply,), apply=_multiply),
    Rewrite(layers=(keras.layers.Subtract,), apply=_subtract),
    Rewrite(layers=(keras.layers.Average,), apply=_average),
    Rewrite(
        layers=(keras.layers.Maximum,),
        apply=lambda site: _one_by_one(site, maximum),
    ),
    Rewrite(
        layers=(keras.layers.Minimum,),
        apply=lambda site: _one_by_one(site, minimum),
    ),
    Rewrite(
        layers=(keras.layers.Concatenate,),
        operations=("Concatenate",),
        apply=_concatenate,
    ),
    Rewrite(operations=("Stack",), apply=_stack),
    Rewrite(operations=("CustomScaleLayer",), apply=_scaled_sum),
)
