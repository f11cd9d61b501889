"""Makes a bundle of three small exits, converted once per process."""

import functools

import numpy as np

from keras_dynamic.exits.decision.policy import Policy
from tflite import bundle
from tflite.cutting import split

SIZE = 8
CLASSES = 4
MADDS = (1000, 200, 30)


def images(count: int, size: int = SIZE, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, size, size, 3), np.uint8)


def write(directory, *, thresholds=(0.46, 0.34, 0.0), stored=SIZE):
    """Writes the bundle; about as many images stop at each of its exits."""
    segments = _segments()
    return bundle.write(
        str(directory),
        name="tiny",
        segments=[
            bundle.segment_facts(
                place, each.model, each.wiring, madds=MADDS[place], params=1
            )
            for place, each in enumerate(segments)
        ],
        models=[each.model for each in segments],
        labels=["a", "b", "c", "d"],
        input=bundle.InputFacts((SIZE, SIZE, 3), fit=bundle.FitFacts(stored)),
        policy=Policy(
            temperatures=(0.2, 0.2, 0.2),
            thresholds=tuple(map(float, thresholds)),
            enabled=(True, True, True),
        ),
        provenance={},
    )


@functools.cache
def _segments() -> tuple[split.Segment, ...]:
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = inputs = keras.Input((SIZE, SIZE, 3), name="image")
    logits = []
    for _ in range(3):
        x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
        pooled = layers.GlobalAveragePooling2D()(x)
        logits.append(layers.Dense(CLASSES)(pooled))
    converter = tf.lite.TFLiteConverter.from_keras_model(
        keras.Model(inputs, logits)
    )
    samples = images(8)[:, None].astype(np.float32) / 255
    samples[0, 0, 0, 0], samples[0, 0, 0, 1] = 0.0, 1.0
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([each] for each in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return split.split(converter.convert())
