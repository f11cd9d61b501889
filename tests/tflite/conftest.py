"""A three-exit network, converted once per session, and a way to run models."""

import numpy as np
import pytest

from keras_dynamic.exits.decision.policy import Policy
from tflite import bundle
from tflite.cutting import split
from tflite.runtime import interpreter

SIZE = 16
CLASSES = 5


@pytest.fixture(scope="session")
def network():
    """A model whose third exit reads the first segment, not the second."""
    keras = pytest.importorskip("keras")

    keras.utils.set_random_seed(0)

    def conv(filters, strides=1):
        return keras.layers.Conv2D(
            filters, 3, strides, padding="same", activation="relu"
        )

    def head(x):
        return keras.layers.Dense(CLASSES)(
            keras.layers.GlobalAveragePooling2D()(x)
        )

    image = keras.Input((SIZE, SIZE, 3), name="image")
    fine = conv(8)(image)
    coarse = conv(8, 2)(fine)
    second = keras.layers.Concatenate()([coarse, conv(8, 2)(fine)])
    up = keras.layers.UpSampling2D(interpolation="bilinear")(coarse)
    third = keras.layers.Concatenate()([up, fine])
    for _ in range(3):
        third = conv(16)(third)
    return keras.Model(image, [head(coarse), head(second), head(third)])


@pytest.fixture(scope="session")
def float_model(network) -> bytes:
    tf = pytest.importorskip("tensorflow")

    return tf.lite.TFLiteConverter.from_keras_model(network).convert()


@pytest.fixture(scope="session")
def int8_model(network) -> bytes:
    tf = pytest.importorskip("tensorflow")

    images = np.random.default_rng(0).random((8, 1, SIZE, SIZE, 3), np.float32)
    images[0, 0, 0, 0], images[0, 0, 0, 1] = 0.0, 1.0
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([each] for each in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return converter.convert()


@pytest.fixture(scope="session")
def segments(int8_model) -> tuple[split.Segment, ...]:
    return split.split(int8_model)


@pytest.fixture(scope="session")
def run_whole():
    """Runs a model: (bytes, inputs by name) -> outputs by signature name."""

    def run(model: bytes, values: dict) -> dict:
        return interpreter.load(model).get_signature_runner()(**values)

    return run


@pytest.fixture(scope="session")
def run_chain(run_whole):
    """Runs segments in turn: (segments, inputs by name) -> all by name.

    What a gate switches off is not run: its bypass is, or it gives zeros.
    """

    def run(segments, values: dict) -> dict:
        values, zeros, skipped = dict(values), {}, False
        for segment in segments:
            if segment.wiring.bypass and not skipped:
                continue
            if segment.wiring.bypass:
                for name in segment.wiring.outputs:
                    del values[name]
            runner = interpreter.load(segment.model).get_signature_runner()
            details = runner.get_output_details()
            zeros |= {name: d["quantization"][1] for name, d in details.items()}
            skipped = (
                segment.wiring.gate is not None
                and values[segment.wiring.gate].item()
                == zeros[segment.wiring.gate]
            )
            if skipped:
                outputs = {
                    name: np.full(d["shape"], zeros[name], d["dtype"])
                    for name, d in details.items()
                }
            else:
                inputs = {name: values[name] for name in segment.wiring.inputs}
                outputs = runner(**inputs)
            assert set(outputs) == set(segment.wiring.outputs)
            assert not outputs.keys() & values.keys()
            values |= outputs
        return values

    return run


@pytest.fixture(scope="session")
def write_bundle():
    """Writes a bundle of (directory, segments), with changed arguments."""

    def write(directory, segments, madds=None, **changes) -> bundle.Bundle:
        count = sum(each.wiring.exit is not None for each in segments)
        facts = {
            "name": "three exits",
            "segments": [
                bundle.segment_facts(
                    place, each.model, each.wiring, madds=cost, params=100
                )
                for place, (each, cost) in enumerate(
                    zip(segments, madds or [1000] * len(segments), strict=True)
                )
            ],
            "models": [each.model for each in segments],
            "labels": ["zero", "one", "two", "three", "four"],
            "input": bundle.InputFacts((SIZE, SIZE, 3)),
            "policy": Policy(
                temperatures=(1.0,) * count,
                thresholds=(0.3,) * (count - 1) + (0.0,),
                enabled=(True,) * count,
            ),
            "provenance": {"config": "test", "versions": {"keras": "3"}},
        }
        return bundle.write(str(directory), **(facts | changes))

    return write
