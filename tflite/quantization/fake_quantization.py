"""Trains the bridge's tf_keras models with tfmot's fake quantization.

Ranges start from data: tfmot's moving average decays by 0.999 a step from
-6 and 6, so without that it takes over a thousand steps to forget them.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras import (
    quantize_layer,
)

from keras_dynamic.layers import GradientScale
from tflite.quantization import bridge, layers, ranges, scheme


def insert(model: tf_keras.Model) -> tf_keras.Model:
    """Puts tfmot's 8-bit fake quantization into a tf_keras model.

    Weights become int8 per channel, activations int8 per tensor; exceptions
    stand with the layers, in `tflite.quantization.layers`.

    Args:
        model: From `tflite.quantization.bridge.to_tf_keras`.

    Raises:
        bridge.UnsupportedLayerError: If a gate follows a layer that cannot
            have its range.
    """
    known = layers.registry().values()
    configs = _merged(each.configs for each in known)
    others = _merged(each.quantized for each in known)
    # Classes that tfmot makes again from their names.
    classes = {}

    def annotate(layer):
        if isinstance(layer, tf_keras.layers.InputLayer):
            return layer
        kind = type(layer)
        config = configs[kind](layer) if kind in configs else None
        layer = others[kind](layer) if kind in others else layer
        found = {type(each) for each in (layer, config) if each is not None}
        classes.update({each.__name__: each for each in found})
        return tfmot.quantization.keras.quantize_annotate_layer(layer, config)

    annotated = tf_keras.models.clone_model(model, clone_function=annotate)
    # Cloning draws new weights.
    annotated.set_weights(model.get_weights())
    with tfmot.quantization.keras.quantize_scope(classes):
        return tfmot.quantization.keras.quantize_apply(
            annotated, scheme.OrderedScheme()
        )


def _merged(parts: Iterable[Mapping]) -> dict:
    return {key: value for part in parts for key, value in part.items()}


def initialise_ranges(
    quantized: tf_keras.Model,
    model: tf_keras.Model,
    batches: Iterable[np.ndarray],
) -> None:
    """Sets the activation ranges to those of the float model on data.

    A range becomes the mean over the batches of the least and the greatest
    value in a batch, to which tfmot's moving average tends.

    Args:
        quantized: From `insert(model)`.
        model: The float model, in the same layers.
        batches: float32 [batch, height, width, channels] in [0, 1].
    """
    found = ranges.of(quantized)
    for layer in quantized.layers:
        # The input's own quantizer, which tfmot puts behind it. [0, 1] gives
        # scale 1/255, zero point -128.
        if isinstance(layer, quantize_layer.QuantizeLayer):
            found.pop(layer.name).set(0.0, 1.0)
    names = sorted(found)
    probe = tf_keras.Model(
        model.inputs, [model.get_layer(name).output for name in names]
    )
    extremes = tf.function(
        lambda images: [
            (tf.reduce_min(x), tf.reduce_max(x))
            for x in tf.nest.flatten(probe(images, training=False))
        ]
    )
    seen = np.array([extremes(batch) for batch in batches], np.float64)
    if not len(seen):
        raise ValueError("`batches` must not be empty.")
    for name, (low, high) in zip(names, seen.mean(axis=0), strict=True):
        found[name].set(low, high)


def with_gradients(
    quantized: tf_keras.Model, model: keras.Model
) -> tf_keras.Model:
    """Returns the quantized model with the gradients of the float training.

    Args:
        quantized: From `insert`, of `bridge.to_tf_keras(model)`.
        model: The Keras 3 model, in which `GradientScale` may occur.

    Returns:
        A model to be trained, of the same quantized layers and with the same
        results; the one to convert is `quantized`.

    Raises:
        ValueError: If the Keras backend is not TensorFlow.
    """
    if not any(isinstance(layer, GradientScale) for layer in model.layers):
        return quantized
    _require_tensorflow()
    inputs = bridge.legacy_inputs(model)
    [entrance] = [
        layer
        for layer in quantized.layers
        if isinstance(layer, quantize_layer.QuantizeLayer)
    ]

    def find(part):
        return quantized.get_layer(ranges.WRAPPER + part.layer.name)

    # Not before quantization: tfmot treats a layer by those around it.
    def scale(layer, inputs):
        call = functools.partial(layer.call, training=True)
        return tf_keras.layers.Lambda(call, name=layer.name)(inputs)

    outputs = bridge.follow(model, [entrance(x) for x in inputs], find, scale)
    return tf_keras.Model(inputs, outputs)


def fine_tune(
    quantized: tf_keras.Model,
    batches: Iterable[tuple[tf.Tensor, tf.Tensor]],
    loss: Callable[..., tf.Tensor],
    taught: Callable[[tf.Tensor], tf.Tensor | None],
    *,
    learning_rate: float,
    steps: int,
    momentum: float = 0.9,
) -> Iterator[float]:
    """Trains a quantized model with the loss of the float training.

    The optimizer is SGD with momentum; its learning rate falls to zero along a
    cosine.

    Args:
        quantized: From `insert`, ranges initialised; or `with_gradients` of
            it, if gradients are scaled as in the float training. Layers that
            are frozen stay as they are, but for their activation ranges.
        batches: At least `steps` of images float32 [B, H, W, C] in [0, 1] and
            labels int32 [B].
        loss: Loss of the float model, of labels, outputs and the teacher's
            logits; from `keras_dynamic.objectives.Extended`.
        taught: Takes images and returns a teacher's logits, or None without a
            teacher; the method of `keras_dynamic.objectives.Objective`.
        learning_rate: Learning rate of the first step.
        steps: Number of steps to take.
        momentum: Momentum of SGD.

    Yields:
        The loss of each step.

    Raises:
        ValueError: If a loss is not finite, or the Keras backend is not
            TensorFlow, in which tfmot works.
    """
    _require_tensorflow()
    optimizer = tf_keras.optimizers.SGD(
        tf_keras.optimizers.schedules.CosineDecay(learning_rate, max(1, steps)),
        momentum=momentum,
        jit_compile=False,
    )
    # tfmot counts the weights of frozen layers among the trainable ones.
    variables = [
        variable
        for layer in quantized.layers
        if layer.trainable
        for variable in layer.trainable_variables
    ]

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            outputs = _logits(quantized(images, training=True))
            value = loss(labels, outputs, taught(images))
        gradients = tape.gradient(value, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return value

    for images, labels in itertools.islice(batches, steps):
        value = float(step(images, labels))
        if not math.isfinite(value):
            raise ValueError(
                "The loss must stay finite; lower `learning_rate`. "
                f"Received: loss={value}, learning_rate={learning_rate}"
            )
        yield value
    for each in ranges.of(quantized).values():
        each.set(float(each.low), float(each.high))


def settle_weight_ranges(
    quantized: tf_keras.Model, images: np.ndarray | tf.Tensor
) -> None:
    """Sets the weights' ranges to the weights, and changes nothing else.

    tfmot does so in each training step only; a model that is converted
    without one would keep ranges of -6 to 6.
    """
    before = [variable.numpy() for variable in quantized.variables]
    quantized(images, training=True)
    for variable, value in zip(quantized.variables, before, strict=True):
        if "kernel_m" not in variable.name:
            variable.assign(value)


def _require_tensorflow():
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Quantization-aware training needs KERAS_BACKEND=tensorflow. "
            f"Received: {keras.backend.backend()!r}"
        )


def _logits(outputs):
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
