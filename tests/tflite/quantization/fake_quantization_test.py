"""A small RANet from Keras 3 to int8 segments: slow to build, so shared."""

import itertools

import keras
import numpy as np
import pytest

from keras_dynamic.models import ranet
from keras_dynamic.objectives.cross_entropy import cross_entropy
from tflite.cutting import split
from tflite.diagnosis import delegation
from tflite.format import int8_only
from tflite.quantization import (
    bridge,
    conversion,
    fake_quantization,
    saved_graph,
)
from tflite.runtime import interpreter, whole_model

pytestmark = pytest.mark.slow

_SHAPE = (16, 16, 1)


def _images(count, seed):
    return np.random.default_rng(seed).integers(
        0, 256, (count, *_SHAPE), np.uint8
    )


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    network = ranet(
        input_shape=_SHAPE,
        classes=4,
        channels=8,
        growth_rate=8,
        scales=(1, 2),
        growth_factors=(1, 1),
        bottleneck_factors=(2, 2),
        step=1,
        head_width=16,
    )
    # Statistics that make the activations differ from layer to layer.
    rng = np.random.default_rng(0)
    for weight in network.weights:
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        if "beta" in weight.path:
            weight.assign(rng.uniform(-0.5, 0.5, weight.shape))
    return bridge.to_tf_keras(network)


@pytest.fixture(scope="module")
def quantized(model):
    made = fake_quantization.insert(model)
    batches = [_images(32, seed) / np.float32(255) for seed in range(4)]
    fake_quantization.initialise_ranges(made, model, batches)
    fake_quantization.settle_weight_ranges(made, batches[0])
    return made


@pytest.fixture(scope="module")
def tflite_model(quantized, tmp_path_factory):
    path = tmp_path_factory.mktemp("qat") / "saved_model"
    saved_graph.save(quantized, path)
    return conversion.convert(path)


def _loss(labels, outputs, taught):
    assert taught is None
    return sum(cross_entropy(labels, logits) for logits in outputs)


def _no_teacher(images):
    return None


def _agreement(ours, theirs):
    return np.corrcoef(np.ravel(ours), np.ravel(theirs))[0, 1]


def test_without_a_step_the_quantized_model_is_the_float_model(
    model, quantized
):
    # tfmot alone permutes the channels of some concatenations: then the deeper
    # exits have nothing to do with those of the float model.
    images = _images(64, 9) / np.float32(255)
    for ours, theirs in zip(
        quantized(images, training=False),
        model(images, training=False),
        strict=True,
    ):
        assert _agreement(ours, theirs) > 0.99


def test_settling_ranges_leaves_weights_and_statistics(model, quantized):
    # quant_<name>/<weight> of the quantized model, by <name>/<weight>.
    theirs = {variable.name: variable.numpy() for variable in model.variables}
    ours = {
        variable.name.removeprefix("quant_"): variable.numpy()
        for variable in quantized.variables
    }
    shared = set(ours) & set(theirs)
    assert any("moving_mean" in name for name in shared)
    for name in shared:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_the_int8_model_follows_the_device_contract(tflite_model):
    assert int8_only.exceptions(tflite_model) == []
    runner = interpreter.load(tflite_model).get_signature_runner()
    image = runner.get_input_details()["image"]
    assert tuple(image["shape"]) == (1, *_SHAPE)
    assert image["dtype"] == np.int8
    scale, zero_point = image["quantization"]
    assert scale == np.float32(1 / 255)
    assert zero_point == -128
    outputs = runner.get_output_details()
    assert set(outputs) == {"exit_0", "exit_1", "exit_2", "exit_3"}


def test_int8_computes_what_the_fake_quantized_model_does(
    quantized, tflite_model
):
    whole = whole_model.Unsplit(tflite_model)
    images = _images(32, 10)
    ours = np.stack([whole.dequantize(whole.logits(x)) for x in images], 1)
    theirs = quantized(images / np.float32(255), training=False)
    for ours_k, theirs_k in zip(ours, theirs, strict=True):
        assert _agreement(ours_k, theirs_k.numpy()) > 0.99


def test_each_segment_is_one_delegated_partition(tflite_model):
    segments = split.split(tflite_model)
    assert [s.output for s in segments] == [f"exit_{k}" for k in range(4)]
    for segment in segments:
        assert delegation.delegation(segment.model).complete


def test_fine_tuning_learns(model, quantized):
    made = fake_quantization.insert(model)
    batches = [_images(32, 0) / np.float32(255)]
    fake_quantization.initialise_ranges(made, model, batches)
    labels = np.arange(32, dtype=np.int32) % 4
    losses = list(
        fake_quantization.fine_tune(
            made,
            itertools.repeat((batches[0], labels)),
            _loss,
            _no_teacher,
            learning_rate=0.02,
            steps=12,
        )
    )
    assert len(losses) == 12
    assert losses[-1] < losses[0]


def test_a_loss_that_is_not_finite_stops_the_training(model):
    made = fake_quantization.insert(model)
    images = _images(32, 0) / np.float32(255)
    fake_quantization.initialise_ranges(made, model, [images])
    labels = np.zeros(32, np.int32)
    steps = fake_quantization.fine_tune(
        made,
        itertools.repeat((images, labels)),
        lambda *given: np.nan * _loss(*given),
        _no_teacher,
        learning_rate=0.1,
        steps=2,
    )
    with pytest.raises(ValueError, match="loss must stay finite"):
        list(steps)


def test_ranges_need_data(model, quantized):
    with pytest.raises(ValueError, match="batches"):
        fake_quantization.initialise_ranges(quantized, model, [])
