"""A choice of resolutions in int8: one network runs, and says what it says."""

import keras
import numpy as np
import pytest

from keras_dynamic import normal_form
from tests.support import quantized_networks, small_models
from tflite.cutting import branches, split
from tflite.diagnosis import delegation
from tflite.format import int8_only, model_file

pytestmark = pytest.mark.slow

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module", params=["keras", "tfmot"])
def model(request, tmp_path_factory) -> bytes:
    """The small choice in int8; its images want different networks."""
    network = small_models.small("resolution_choice")
    router = network.get_layer("router_exit_0")
    kernel, _ = router.get_weights()
    features = keras.Model(network.input, router.input)
    seen = np.asarray(features(PIXELS / np.float32(255)))
    # Wide about 0, so that gates are open, closed and between.
    kernel = (
        np.random.default_rng(1).normal(0, 4, kernel.shape)
        / seen.std(0)[:, None]
    )
    router.set_weights([kernel, -(seen.mean(0) @ kernel)])
    directory = tmp_path_factory.mktemp(request.param)
    network = keras.Model(network.input, [network.output], name="choice")
    return quantized_networks.converted(
        normal_form.of(network), request.param, directory, PIXELS
    ).model


def test_it_is_int8_in_one_partition(model):
    assert int8_only.exceptions(model) == []
    assert delegation.delegation(model).complete
    # Of three networks each of two decisions has two gates.
    assert len(branches.branches(model_file.read(model))) == 4


def test_the_chain_is_the_unsplit_model(model, run_whole, run_chain):
    segments = split.split(model)
    gated = [each for each in segments if each.wiring.gate is not None]
    assert len(gated) >= 3
    for image in PIXELS:
        inputs = {"image": quantized_networks.device(image)}
        whole, chain = run_whole(model, inputs), run_chain(segments, inputs)
        for name, expected in whole.items():
            np.testing.assert_array_equal(chain[name], expected)


def test_of_two_gates_one_is_open(model, run_chain):
    """Exactly so in int8: no image goes without an answer."""
    segments = split.split(model)
    names = {each.wiring.gate for each in segments} - {None}
    counts = []
    for image in PIXELS:
        found = run_chain(segments, {"image": quantized_networks.device(image)})
        opened = {
            kind: found[name].item() != -128
            for kind in ("branch0", "beyond0", "branch1", "beyond1")
            for name in names
            if f"{kind}_score" in name
        }
        assert opened["branch0"] or opened["beyond0"]
        if opened["beyond0"]:
            assert opened["branch1"] or opened["beyond1"]
        counts.append([opened["branch0"], opened["beyond0"]])
    # Not the same for all images.
    assert (np.mean(counts, axis=0) > 0).all()
    assert (np.mean(counts, axis=0) < 1).all()
