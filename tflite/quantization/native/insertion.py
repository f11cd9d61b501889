"""Puts fake quantization into a model in normal form."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_dynamic import layers
from keras_dynamic.graph import functional
from tflite.quantization.native import lowering, rounding_plan
from tflite.quantization.native.clamp_as_range import ClampAsRange
from tflite.quantization.native.fake_quantizer import (
    FakeQuantizer,
    SameRange,
)
from tflite.quantization.native.weight_rounding import RoundedWeights


@dataclasses.dataclass(frozen=True)
class Quantized:
    """Holds a model with fake quantization, and where its ranges come from.

    Attributes:
        model: The model, of the outputs of the float one.
        plain: The float model of the same layers.
        ranges: The layers that hold ranges, by the name of the layer of
            `plain` behind which each stands.
    """

    model: keras.Model
    plain: keras.Model
    ranges: Mapping[str, FakeQuantizer]


def insert(model: keras.Model, exits: int) -> Quantized:
    """Puts fake quantization into a model.

    Args:
        model: Functional model in normal form. Its layers are used, not
            copied, so that training changes it.
        exits: How many of its outputs are exits; the others are for a loss.
    """
    plain = lowering.lowered(model)
    calls, outputs = rounding_plan.calls(plain, exits)
    tensors, ranges, behind = {}, {}, {}
    image = keras.Input(
        plain.inputs[0].shape[1:], name=plain.inputs[0].name, dtype="float32"
    )
    for call in calls:
        tensor = image
        if call.layer is not None:
            given = [tensors[each] for each in call.inputs]
            run = _quantized(call.layer)
            tensor = run(given if len(given) > 1 else given[0])
        name = call.layer.name if call.layer else "image"
        if found := rounding_plan.range_of(call):
            behind[call] = FakeQuantizer(found.fixed, name=f"{name}_range")
            ranges[name] = behind[call]
            tensor = behind[call](tensor)
        elif call.inputs:
            behind[call] = behind.get(call.inputs[0])
            if rounding_plan.rounds_in_scale_of_input(call.layer):
                again = SameRange(behind[call], name=f"{name}_range")
                tensor = again(tensor)
        tensors[call] = tensor
    quantized = keras.Model(
        image, [tensors[each] for each in outputs], name=model.name
    )
    return Quantized(quantized, plain, ranges)


def _quantized(layer: keras.layers.Layer) -> Callable:
    """Returns what is called in a layer's place."""
    if isinstance(layer, layers.Gate):
        return ClampAsRange(layer, lambda score: score)
    if rounding_plan.has_a_range_for_end(layer):
        return ClampAsRange(layer, keras.ops.relu)
    roundings = rounding_plan.roundings(layer)
    return RoundedWeights(layer, roundings) if roundings else layer


def initialise_ranges(
    quantized: Quantized, batches: Iterable[np.ndarray]
) -> None:
    """Sets the ranges that are not fixed to those of the float model on data.

    A range becomes the mean over the batches of the least and the greatest
    number in a batch, to which a moving average tends.

    Args:
        quantized: From `insert`.
        batches: float32 [batch, height, width, channels] in [0, 1].

    Raises:
        ValueError: If there are no batches.
    """
    names = [name for name, each in quantized.ranges.items() if not each.fixed]
    # Not the layers' outputs: they are of other models, too.
    given = {
        node.operation.name: node.outputs[0]
        for node in functional.ancestors(quantized.plain.outputs, set())
    }
    probe = keras.Model(quantized.plain.inputs, [given[name] for name in names])
    extremes = tf.function(
        lambda images: [
            (tf.reduce_min(x), tf.reduce_max(x))
            for x in tf.nest.flatten(probe(images, training=False))
        ]
    )
    seen = np.array([extremes(batch) for batch in batches], np.float64)
    if not len(seen):
        raise ValueError("`batches` must not be empty. Received: none")
    for name, (low, high) in zip(names, seen.mean(axis=0), strict=True):
        quantized.ranges[name].set(low, high)
