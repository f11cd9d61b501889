"""Compares models with their normal forms."""

import keras
import numpy as np

from keras_dynamic import normal_form
from keras_dynamic.normal_form import vocabulary


def randomized(model, seed=0):
    """Gives weights and statistics of normalization that no layer leaves so."""
    rng = np.random.default_rng(seed)
    for layer in _layers(model):
        for weight in layer.weights:
            values = np.asarray(weight)
            if weight.name == "moving_mean":
                values = rng.normal(0, 0.2, values.shape)
            elif weight.name in ("moving_variance", "gamma", "variance"):
                values = rng.uniform(0.7, 1.4, values.shape)
            elif weight.name in ("beta", "bias", "alpha", "mean"):
                values = rng.normal(0, 0.2, values.shape)
            weight.assign(values)
    return model


def _layers(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def images(model, count=3, seed=1):
    """Draws inputs in [0, 1]."""
    rng = np.random.default_rng(seed)
    drawn = [
        rng.random((count, *each.shape[1:]), np.float32)
        for each in model.inputs
    ]
    return drawn if len(drawn) > 1 else drawn[0]


def outputs(model, given):
    """Lists the outputs outside of training."""
    found = model(given, training=False)
    return [np.asarray(each) for each in keras.tree.flatten(found)]


def same(model, tolerance=1e-5, scale=1.0):
    """Returns a model's normal form, which must give the same outputs."""
    normal = normal_form.of(model)
    assert vocabulary.strays(normal) == []
    given = keras.tree.map_structure(lambda x: x * scale, images(model))
    pairs = zip(outputs(model, given), outputs(normal, given), strict=True)
    for ours, theirs in pairs:
        size = max(1.0, np.abs(ours).max())
        np.testing.assert_allclose(ours / size, theirs / size, atol=tolerance)
    return normal


def gradients(model, seed=2):
    """Lists the trainable weights with their gradients, None where cut off."""
    import tensorflow as tf

    given = images(model)
    with tf.GradientTape() as tape:
        found = keras.tree.flatten(model(given, training=True))
        loss = sum(keras.ops.sum(each) for each in found)
    weights = model.trainable_weights
    values = tape.gradient(loss, [each.value for each in weights])
    return list(zip(weights, values, strict=True))


def error(model, given):
    """Returns how far the normal form is off, and how far rounding goes.

    The second is the change of the outputs where every weight changes by up to
    one unit in its last place. Last comes how far images are apart.
    """
    normal = normal_form.of(model)
    assert vocabulary.strays(normal) == []
    ours, theirs = outputs(model, given), outputs(normal, given)
    rng = np.random.default_rng(3)
    for weight in model.weights:
        values = np.asarray(weight)
        unit = np.finfo(np.float32).eps * rng.uniform(-1, 1, values.shape)
        weight.assign(values * (1 + unit))
    rounded = outputs(model, given)
    return (
        _difference(ours, theirs),
        _difference(ours, rounded),
        min(float(each.std(0).max()) for each in ours),
    )


def _difference(ours, theirs):
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)
