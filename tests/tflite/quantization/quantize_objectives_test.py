"""Each objective in quantization-aware training, and what it leaves on int8."""

import collections
import itertools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from keras_dynamic import objectives
from keras_dynamic.models.blocks import convolutions
from keras_dynamic.models.lcnet import lcnet
from keras_dynamic.objectives.cross_entropy import cross_entropy
from tflite.cutting import split
from tflite.diagnosis import delegation
from tflite.format import model_file
from tflite.quantization import (
    bridge,
    conversion,
    fake_quantization,
    saved_graph,
)
from tflite.runtime import whole_model

EXITS, CLASSES = 3, 4
NEEDS = {"one_for_all": "teacher", "zero_time_waste": "backbone"}
GATED = "cost_target"
PIXELS = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), np.uint8)
IMAGES = PIXELS / np.float32(255)
LABELS = np.arange(32, dtype=np.int32) % CLASSES


def network(seed: int = 0) -> keras.Model:
    """Blocks in a row, each with a concatenation, and an exit behind each."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((8, 8, 1), name="image")
    logits = []
    for k in range(EXITS):
        new = convolutions.conv_bn_relu(x, 4, 3, name=f"block{k}")
        x = keras.layers.Concatenate(name=f"block{k}_concat")([x, new])
        pooled = keras.layers.GlobalAveragePooling2D(name=f"exit_{k}_pool")(x)
        logits.append(keras.layers.Dense(CLASSES, name=f"exit_{k}")(pooled))
    return keras.Model(inputs, logits, name="net")


def gated() -> keras.Model:
    """A network for the objective that needs gates."""
    keras.utils.set_random_seed(0)
    return lcnet(
        input_shape=(8, 8, 1),
        classes=CLASSES,
        backbone={"family": "resnet", "blocks": 1, "widths": (4, 8)},
        channels="groups",
        groups=2,
        exits=(0,),
        head_width=4,
    )


def objective(name: str, **arguments) -> objectives.Objective:
    if name in NEEDS:
        arguments[NEEDS[name]] = network(seed=1)
    return objectives.build(name, **arguments)


def quantized(model: keras.Model) -> tf_keras.Model:
    """With its ranges."""
    plain = bridge.to_tf_keras(model)
    made = fake_quantization.insert(plain)
    fake_quantization.initialise_ranges(made, plain, [IMAGES])
    fake_quantization.settle_weight_ranges(made, IMAGES)
    return made


def converted(made: tf_keras.Model, directory) -> bytes:
    deployed = tf_keras.Model(made.inputs, made.outputs[:EXITS])
    saved_graph.save(deployed, directory / "saved_model")
    return conversion.convert(directory / "saved_model")


def operators(model: bytes) -> list[str]:
    contents = model_file.read(model)
    return [
        model_file.operator_name(contents.operatorCodes[each.opcodeIndex])
        for each in contents.subgraphs[0].operators
    ]


def logits(model: bytes) -> np.ndarray:
    """Of every exit and image, int8 [N, K, C]."""
    whole = whole_model.Unsplit(model)
    return np.array([whole.logits(image) for image in PIXELS])


def agreement(ours, theirs) -> float:
    return np.corrcoef(np.ravel(ours), np.ravel(theirs))[0, 1]


@pytest.fixture(scope="module")
def joint_model(tmp_path_factory) -> bytes:
    return converted(quantized(network()), tmp_path_factory.mktemp("joint"))


@pytest.mark.parametrize(
    ("name", "products", "sums"), [("boosted", 2, 2), ("zero_time_waste", 3, 4)]
)
def test_ensembles_run_in_int8_and_cross_the_cuts(
    name, products, sums, tmp_path, run_chain, joint_model
):
    model = objective(name).extend(network()).model
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if "_ensemble" in layer.name:
            for weight in layer.weights:
                weight.assign(rng.normal(0, 0.5, weight.shape))
    expected = [np.asarray(each) for each in model(IMAGES, training=False)]
    made = quantized(model)
    for ours, theirs in zip(
        made(IMAGES, training=False), expected, strict=True
    ):
        assert agreement(ours, theirs) > 0.99

    int8 = converted(made, tmp_path)
    more = collections.Counter(operators(int8))
    more.subtract(operators(joint_model))
    dense = {"FULLY_CONNECTED": 1} if name == "zero_time_waste" else {}
    assert +more == {"MUL": products, "ADD": sums} | dense
    segments = split.split(int8, [f"exit_{k}" for k in range(EXITS)])
    for segment in segments:
        assert delegation.delegation(segment.model).complete
    if name == "boosted":
        assert "exit_1" in segments[2].wiring.inputs
    found = logits(int8)
    for image, whole in zip(PIXELS, found, strict=True):
        device = (image.astype(np.int16) - 128).astype(np.int8)
        chain = run_chain(segments, {"image": device[None]})
        for k, each in enumerate(whole):
            np.testing.assert_array_equal(chain[f"exit_{k}"][0], each)
    for k in range(EXITS):
        assert agreement(found[:, k], expected[k]) > 0.99


def test_gradient_equilibrium_leaves_no_trace(tmp_path):
    # One network: threads of other tests may draw from the seeded generator.
    plain = network()
    model = objectives.gradient_equilibrium(plain)
    expected = converted(quantized(plain), tmp_path / "plain")
    int8 = converted(quantized(model), tmp_path / "equilibrium")
    assert operators(int8) == operators(expected)
    np.testing.assert_array_equal(logits(int8), logits(expected))


def test_gradient_equilibrium_holds_in_quantized_training():
    model = objectives.gradient_equilibrium(network())
    made = quantized(model)
    trained = fake_quantization.with_gradients(made, model)

    # Not in training, which moves the ranges; gradients are scaled anyway.
    def gradients(network, exits):
        with tf.GradientTape() as tape:
            outputs = network(IMAGES, training=False)
            loss = sum(cross_entropy(LABELS, outputs[k]) for k in exits)
        found = tape.gradient(
            loss, made.trainable_variables, unconnected_gradients="zero"
        )
        return loss, [np.asarray(each) for each in found]

    every = range(EXITS)
    alone = [gradients(made, [k])[1] for k in every]
    together, found = gradients(trained, every)
    assert together == gradients(made, every)[0]
    kernels = 0
    for i, variable in enumerate(made.trainable_variables):
        if re.match(r"block\d_conv/kernel", variable.name):
            behind = alone[int(variable.name[len("block")]) :]
            mean = np.mean([each[i] for each in behind], axis=0)
            np.testing.assert_allclose(found[i], mean, rtol=1e-3, atol=1e-6)
            kernels += 1
    assert kernels == EXITS


@pytest.mark.parametrize("name", sorted(objectives.BUILDERS))
def test_each_is_fine_tuned(name):
    gates = {"target": 0.5} if name == GATED else {}
    built = objective(name, **gates)
    extended = built.extend(gated() if gates else network())
    model = extended.model
    made = quantized(model)
    before = {v.name: v.numpy() for v in made.variables}
    losses = list(
        fake_quantization.fine_tune(
            fake_quantization.with_gradients(made, model),
            itertools.repeat((IMAGES, LABELS)),
            extended.loss,
            built.taught,
            learning_rate=0.02,
            steps=3,
        )
    )
    # The ramp of `cost_target` is at its end in quantization.
    outputs = [model(IMAGES, training=True) for _ in range(2)][-1]
    expected = extended.loss(LABELS, outputs, built.taught(IMAGES))
    assert losses[0] == pytest.approx(float(expected), rel=0.05)
    assert losses[-1] < losses[0]
    frozen = {layer.name for layer in model.layers if not layer.trainable}
    assert bool(frozen) == (name in ("layer_caching", "zero_time_waste"))
    kinds = {"kernel", "bias", "gamma", "beta", "moving_mean"}
    for variable in made.variables:
        layer, _, weight = variable.name.partition("/")
        # The ranges beside them may move.
        if weight.split(":")[0] in kinds:
            stays = layer.removeprefix("quant_") in frozen
            same = np.array_equal(variable.numpy(), before[variable.name])
            assert same == stays, variable.name
