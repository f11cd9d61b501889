"""Builds small networks with gates, converted once per process."""

import functools

import numpy as np
import pytest

SIZE = 16
CLASSES = 5


def images(count: int, seed: int = 0) -> np.ndarray:
    """Draws pixels of different brightness, so that gates open for some."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (count, SIZE, SIZE, 3))
    colour = rng.integers(0, 256, (count, 1, 1, 3))
    return ((noise + 3 * colour) // 4).astype(np.uint8)


@functools.cache
def converted(name: str, dtype: str = "int8") -> bytes:
    """Returns the .tflite file of one of `NETWORKS`, "int8" or "float32"."""
    tf = pytest.importorskip("tensorflow")

    converter = tf.lite.TFLiteConverter.from_keras_model(network(name))
    if dtype == "int8":
        samples = _batch(32)[:, None]
        samples[0, 0, 0, 0], samples[0, 0, 0, 1] = 0.0, 1.0
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([each] for each in samples)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        ]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    return converter.convert()


@functools.cache
def network(name: str):
    """Builds one of `NETWORKS` as a Keras model with weights."""
    keras = pytest.importorskip("keras")

    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    built = keras.Model(image, NETWORKS[name](image))
    # The converter drops a bias that is 0.
    rng = np.random.default_rng(0)
    for weight in built.weights:
        if weight.name == "bias":
            weight.assign(rng.normal(0.0, 0.1, weight.shape))
    # Each gate is 0 for half of the images.
    for layer in built.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.filters == 1:
            scores = keras.Model(image, layer.output).predict(
                _batch(64), verbose=0
            )
            [kernel, bias] = layer.get_weights()
            spread = scores.std()
            layer.set_weights(
                [kernel / spread, (bias - np.median(scores)) / spread]
            )
    return built


def _batch(count: int) -> np.ndarray:
    return images(count, seed=9) / np.float32(255)


def _conv(x, filters=8, strides=1, activation="relu"):
    import keras

    return keras.layers.Conv2D(
        filters, 3, strides, padding="same", activation=activation
    )(x)


def _head(x):
    import keras

    return keras.layers.Dense(CLASSES)(keras.layers.GlobalAveragePooling2D()(x))


def _gate(x):
    """Adds a score in [0, 1] per image."""
    import keras

    mean = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    return keras.layers.ReLU(1.0)(keras.layers.Conv2D(1, 1)(mean))


def _gated(x, branch):
    import keras

    return keras.layers.Multiply()([branch, _gate(x)])


def _block(x, strides=1):
    """Adds a residual block whose layers a gate can skip."""
    import keras

    branch = _conv(_conv(x, 8, strides), 8, activation=None)
    shortcut = x if strides == 1 else _conv(x, 8, strides, None)
    total = keras.layers.Add()([shortcut, _gated(x, branch)])
    return keras.layers.ReLU()(total)


def _groups(x):
    """Sums two groups of channels, each with a gate of its own."""
    import keras

    return keras.layers.Add()(
        [_gated(x, _conv(_conv(x, 4), 8, activation=None)) for _ in range(2)]
    )


def _blocks(image):
    """Adds three blocks in a row, and an exit after the first."""
    x = _block(_conv(image))
    early = _head(x)
    return [early, _head(_block(_block(x, 2)))]


def _nested(image):
    """Adds groups of channels, and groups in a block that can be skipped."""
    import keras

    x = _conv(image)
    x = keras.layers.Add()([x, _groups(x)])
    inner = _conv(_groups(x), 8, activation=None)
    return [_head(keras.layers.Add()([x, _gated(x, inner)]))]


NETWORKS = {"blocks": _blocks, "nested": _nested}
