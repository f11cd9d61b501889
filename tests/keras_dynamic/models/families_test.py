"""What holds of every family of models."""

import keras
import numpy as np
import pytest

from keras_dynamic import models
from tests.support.small_models import ARGUMENTS, SCALING, small
from tflite.quantization import bridge

pytestmark = pytest.mark.parametrize("family", ARGUMENTS)


def images(family: str, count: int) -> np.ndarray:
    shape = ARGUMENTS[family]["input_shape"]
    return np.random.default_rng(0).random((count, *shape), np.float32)


def logits(outputs) -> list[np.ndarray]:
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return [np.asarray(each) for each in outputs]


def test_every_exit_sees_every_image(family):
    both = images(family, 2)
    first, second = (logits(small(family)(both[i : i + 1])) for i in range(2))
    for before, after in zip(first, second, strict=True):
        # Some of Keras's own networks start with logits near 0.
        assert np.abs(before - after).max() > 1e-2 * np.abs(before).max()


def test_inference_is_the_default(family):
    """A layer of Keras's own once switched all behind it to training."""
    batch = images(family, 4)
    default, inference, training = (
        logits(small(family)(batch, **options))
        for options in ({}, {"training": False}, {"training": True})
    )
    for k, values in enumerate(default):
        np.testing.assert_array_equal(values, inference[k])
        assert not np.allclose(values, training[k])


def test_saved_model_gives_the_same_logits(family, tmp_path):
    small(family).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    batch = images(family, 3)
    ours, theirs = logits(small(family)(batch)), logits(loaded(batch))
    for before, after in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(before, after)


def test_legacy_model_gives_the_same_logits(family):
    if family in SCALING:
        pytest.skip("tfmot has no Rescaling; the normal form takes it out")
    legacy = bridge.to_tf_keras(small(family))
    batch = images(family, 4)
    ours, theirs = logits(small(family)(batch)), logits(legacy(batch))
    for before, after in zip(ours, theirs, strict=True):
        # Without training ghosts give logits of thousands, rounded as such.
        largest = np.abs(before).max()
        atol = 1e-5 if largest < 100 else 3e-5 * largest
        np.testing.assert_allclose(after, before, rtol=1e-5, atol=atol)


def test_logits_stay_float32_in_mixed_precision(family):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = models.build(family, **ARGUMENTS[family])
    finally:
        keras.config.set_dtype_policy(before)
    assert {output.dtype for output in model.outputs} == {"float32"}
    convolutions = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    ]
    assert {each.compute_dtype for each in convolutions} == {"bfloat16"}
