"""A VGG with exits from Keras 3 to int8 and to a chain of segments."""

import keras
import numpy as np
import pytest

from keras_dynamic import models
from tests.support import small_int8
from tflite.cutting import split
from tflite.diagnosis import delegation
from tflite.format import int8_only
from tflite.runtime import whole_model

pytestmark = pytest.mark.slow

_SHAPE = (16, 16, 3)


def test_each_exit_is_one_partition_and_computes_what_float_does(tmp_path):
    keras.utils.set_random_seed(0)
    network = models.build(
        "vgg",
        input_shape=_SHAPE,
        classes=4,
        stem_width=8,
        widths=(8, 16, 24),
        depths=(1, 2, 3),
        residual=(2,),
        head_widths=((16, 16), (16,), ()),
    )
    rng = np.random.default_rng(0)
    for weight in network.weights:
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        if "beta" in weight.path:
            weight.assign(rng.uniform(-0.5, 0.5, weight.shape))
    images = rng.integers(0, 256, (32, *_SHAPE), np.uint8)
    converted = small_int8.converted(network, images, tmp_path)

    assert int8_only.exceptions(converted) == []
    segments = split.split(converted)
    assert len(segments) == 3
    assert delegation.delegation(converted).complete
    for segment in segments:
        assert delegation.delegation(segment.model).complete
    whole = whole_model.Unsplit(converted)
    ours = [whole.dequantize(whole.logits(image)) for image in images]
    theirs = network(images / np.float32(255), training=False)
    for exit, logits in enumerate(theirs):
        said = np.array([each[exit] for each in ours])
        assert np.corrcoef(said.ravel(), np.ravel(logits))[0, 1] > 0.99
