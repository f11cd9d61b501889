import keras
import numpy as np
import pytest

import tflite
from tests.support import small_int8
from tflite.runtime.whole_model import Unsplit

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (8, 12, 12, 3), np.uint8)
IMAGES = PIXELS / np.float32(255)
LABELS = RNG.integers(0, 4, 8)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    x = image = keras.Input((12, 12, 3), name="image")
    logits = []
    for k in range(2):
        x = keras.layers.Conv2D(6, 3, 2, padding="same", activation="relu")(x)
        pooled = keras.layers.GlobalAveragePooling2D()(x)
        logits.append(keras.layers.Dense(4, name=f"exit_{k}")(pooled))
    return keras.Model(image, logits)


def logits_of(converted):
    whole = Unsplit(converted)
    return np.stack([whole.dequantize(whole.logits(x)) for x in PIXELS], 1)


@pytest.fixture(scope="module")
def untuned(model):
    return tflite.quantize(model, [IMAGES])


def test_it_is_what_the_single_steps_give(model, untuned, tmp_path):
    stepwise = small_int8.converted(model, PIXELS, tmp_path)
    np.testing.assert_array_equal(logits_of(untuned), logits_of(stepwise))
    segments = tflite.split(untuned)
    assert [segment.output for segment in segments] == ["exit_0", "exit_1"]


def test_fine_tuning_learns_and_leaves_the_model(model, untuned):
    def loss(logits):
        shifted = logits - logits.max(-1, keepdims=True)
        log_sums = np.log(np.exp(shifted).sum(-1))
        return (log_sums - shifted[:, np.arange(8), LABELS]).sum()

    before = model.get_weights()
    # More steps than batches: they are gone through again.
    tuned = tflite.quantize(
        model, [(IMAGES, LABELS)] * 2, steps=30, learning_rate=0.1
    )
    assert loss(logits_of(tuned)) < 0.9 * loss(logits_of(untuned))
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("batches", "steps"),
    [
        ([], 0),
        ([PIXELS], 0),
        ([255 * IMAGES], 0),
        ([IMAGES[0]], 0),
        ([IMAGES], 1),
        (iter([(IMAGES, LABELS)]), 2),
    ],
    ids=["none", "uint8", "0 to 255", "no batch", "no labels", "too few"],
)
def test_batches_that_do_not_do(model, batches, steps):
    with pytest.raises(ValueError, match="`batches`"):
        tflite.quantize(model, batches, steps=steps)
