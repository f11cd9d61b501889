"""Ghost networks with exits from Keras 3 to int8 and to a chain of segments."""

import keras
import numpy as np
import pytest

from keras_dynamic import models
from tests.support import small_int8
from tflite.cutting import split
from tflite.diagnosis import delegation, equivalence
from tflite.format import int8_only
from tflite.runtime import whole_model
from tflite.runtime.harness import Harness

pytestmark = pytest.mark.slow

_SHAPE = (16, 16, 3)
_NETWORKS = {
    "ghostnet": {
        "width": 0.1,
        "downsampling": 8,
        "at": ("ghost4_add", "ghost10_add"),
        "head": "conv1",
    },
    "ghost_regnet": {
        "depths": (1, 4, 7),
        "widths": (16, 16, 32),
        "group_width": 8,
        "stem_strides": 1,
        "at": ("stage1_block3_relu",),
    },
}


@pytest.mark.parametrize("family", _NETWORKS)
def test_the_chain_is_the_int8_model_in_one_partition_each(
    family, tmp_path, write_bundle
):
    keras.utils.set_random_seed(0)
    network = models.build(
        family, input_shape=_SHAPE, classes=5, **_NETWORKS[family]
    )
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, *_SHAPE), np.uint8)
    for _ in range(40):  # Statistics that are those of the images.
        network(images / np.float32(255), training=True)
    converted = small_int8.converted(network, images, tmp_path)

    assert int8_only.exceptions(converted) == []
    assert delegation.delegation(converted).complete
    whole = whole_model.Unsplit(converted)
    theirs = network(images / np.float32(255), training=False)
    ours = [whole.dequantize(whole.logits(image)) for image in images]
    for exit, logits in enumerate(theirs):
        said = np.array([each[exit] for each in ours])
        assert np.corrcoef(said.ravel(), np.ravel(logits))[0, 1] > 0.98

    segments = split.split(converted)
    assert len(segments) == len(network.outputs)
    write_bundle(tmp_path / "bundle", segments)
    with Harness(str(tmp_path / "bundle")) as harness:
        found = equivalence.compare(harness, whole, images)
    assert found.mismatches == 0
    assert all(delegation.delegation(each.model).complete for each in segments)
