"""Rewrites normalizations that no convolution takes up."""

from typing import Any

import keras
import numpy as np

from keras_dynamic.normal_form.affine import Affine
from keras_dynamic.normal_form.rewrite import Rewrite, refuse
from keras_dynamic.normal_form.site import Site
from keras_dynamic.normal_form.vocabulary import VOCABULARY

_BEFORE = VOCABULARY[keras.layers.BatchNormalization].behind


def _batch_normalization(site: Site) -> Any:
    """Keeps what a convolution takes up; makes the rest a plain affine map."""
    layer, x = site.operation, site.x
    if layer.axis not in (-1, len(x.shape) - 1):
        raise refuse(
            f"it normalizes along axis {layer.axis}", "let `axis` be -1"
        )
    if not isinstance(x, Affine) and site.reads_alone(x):
        before = type(x._keras_history.operation)
        if before in _BEFORE and len(x.shape) == 4:
            return site.keep(x, axis=-1)
    mean = np.asarray(layer.moving_mean, np.float64)
    variance = np.asarray(layer.moving_variance, np.float64)
    gamma = np.asarray(layer.gamma) if layer.scale else 1.0
    beta = np.asarray(layer.beta) if layer.center else 0.0
    scale = gamma / np.sqrt(variance + layer.epsilon)
    return site.affine(
        x,
        scale,
        beta - mean * scale,
        trainable=layer.trainable and (layer.scale or layer.center),
        sole=True,
    )


def _layer_normalization(site: Site) -> Any:
    """Keeps one over the last axis; over all axes it goes over a vector's."""
    layer, x = site.operation, site.x
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    axes = sorted(axis % len(x.shape) for axis in axes)
    if getattr(layer, "rms_scaling", False):
        raise refuse("it has `rms_scaling`", "leave `rms_scaling` at False")
    if axes == [len(x.shape) - 1]:
        return site.keep(axis=-1)
    if axes != list(range(1, len(x.shape))):
        raise refuse(
            f"it normalizes over the axes {axes}",
            "let `axis` be -1, or all axes but the batch's",
        )
    weights = [each.reshape(-1) for each in layer.get_weights()]
    y = site.add(keras.layers.Flatten, x, part="vector")
    y = site.keep(y, weights=weights, part="normalized", axis=-1)
    return site.add(keras.layers.Reshape, y, target_shape=site.result_shape)


def _normalization(site: Site) -> Any:
    """Rewrites the standardization of inputs, which no training changes."""
    layer = site.operation
    mean = np.asarray(layer.mean, np.float64)[0]
    variance = np.asarray(layer.variance, np.float64)[0]
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    if layer.invert:
        return site.affine(site.x, deviation, mean, sole=True)
    return site.affine(site.x, 1 / deviation, -mean / deviation, sole=True)


def _layer_scale(site: Site) -> Any:
    """Rewrites ConvNeXt's factor per channel."""
    layer = site.operation
    return site.affine(
        site.x, layer.gamma, trainable=layer.trainable, sole=True
    )


REWRITES = (
    Rewrite(
        layers=(keras.layers.BatchNormalization,), apply=_batch_normalization
    ),
    Rewrite(
        layers=(keras.layers.LayerNormalization,), apply=_layer_normalization
    ),
    Rewrite(layers=(keras.layers.Normalization,), apply=_normalization),
    Rewrite(operations=("LayerScale",), apply=_layer_scale),
)
