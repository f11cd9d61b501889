"""Signals, inputs of one row, from Keras 3 to int8 and to a chain of segments.

The signals are made up: each class is a frequency, in both channels, with a
phase of its own and noise.
"""

import keras
import numpy as np
import pytest

from tests.support import small_int8
from tflite import bundle
from tflite.cutting import split
from tflite.diagnosis import delegation, equivalence
from tflite.format import int8_only
from tflite.runtime import whole_model
from tflite.runtime.harness import Harness

pytestmark = pytest.mark.slow

_SAMPLES, _CHANNELS, _CLASSES = 64, 2, 5


def _signals(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns signals, uint8 [count, 1, samples, channels], and classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % _CLASSES
    phases = rng.uniform(0, 2 * np.pi, (count, 1, _CHANNELS))
    time = np.arange(_SAMPLES)[:, None] / _SAMPLES
    turns = 2 * np.pi * (2 + 3 * labels[:, None, None]) * time
    values = 128 + 70 * np.sin(turns + phases)
    values += rng.normal(0, 20, values.shape)
    return np.clip(values, 0, 255).astype(np.uint8)[:, None], labels


def _network() -> keras.Model:
    """Builds 1xW convolutions with three exits."""
    layers = keras.layers

    def conv(x, filters, index):
        x = layers.Conv2D(
            filters,
            (1, 5),
            strides=(1, 2),
            padding="same",
            use_bias=False,
            name=f"conv{index}",
        )(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"bn{index}")(x)
        return layers.ReLU(name=f"relu{index}")(x)

    x = image = keras.Input((1, _SAMPLES, _CHANNELS), name="image")
    logits = []
    for exit, filters in enumerate((8, 16, 24)):
        x = conv(x, filters, exit)
        pooled = layers.GlobalAveragePooling2D(name=f"exit_{exit}_pool")(x)
        logits.append(layers.Dense(_CLASSES, name=f"exit_{exit}")(pooled))
    return keras.Model(image, logits)


def test_a_trained_network_of_signals_is_the_same_chain(tmp_path, write_bundle):
    keras.utils.set_random_seed(0)
    network = _network()
    signals, labels = _signals(320)
    network.compile(
        keras.optimizers.Adam(0.01),
        [keras.losses.SparseCategoricalCrossentropy(from_logits=True)] * 3,
    )
    network.fit(
        signals / np.float32(255),
        [labels] * 3,
        batch_size=32,
        epochs=12,
        verbose=0,
    )
    converted = small_int8.converted(network, signals[:64], tmp_path)

    assert int8_only.exceptions(converted) == []
    segments = split.split(converted)
    assert len(segments) == 3
    assert all(delegation.delegation(each.model).complete for each in segments)
    write_bundle(
        tmp_path / "bundle",
        segments,
        input=bundle.InputFacts(
            (1, _SAMPLES, _CHANNELS), fit=bundle.FitFacts(_SAMPLES)
        ),
    )
    with Harness(str(tmp_path / "bundle")) as harness:
        found = equivalence.compare(
            harness, whole_model.Unsplit(converted), signals[:64]
        )
        answers = [harness.classify(signal) for signal in signals[:64]]
        batch = harness.classify_batch(signals[:64], batch_size=16)
    assert found.mismatches == 0
    right = [a.index == b for a, b in zip(answers, labels[:64], strict=True)]
    assert np.mean(right) > 0.9
    np.testing.assert_array_equal(
        batch.exits, [answer.exit for answer in answers]
    )
