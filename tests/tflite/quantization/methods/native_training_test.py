"""Fine-tuning in Keras 3: it learns, resumes, and leaves frozen layers."""

import itertools

import keras
import numpy as np
import pytest

from keras_dynamic import objectives
from keras_dynamic.layers import Gate, GradientScale, Score
from tflite.quantization import methods
from tflite.quantization.methods.method import Task

RNG = np.random.default_rng(0)
IMAGES = RNG.random((8, 12, 12, 3), np.float32)
LABELS = RNG.integers(0, 4, 8)
BATCHES = [
    (RNG.random((8, 12, 12, 3), np.float32), RNG.integers(0, 4, 8))
    for _ in range(6)
]


def network():
    keras.utils.set_random_seed(0)
    x = image = keras.Input((12, 12, 3), name="image")
    logits = []
    for k in range(2):
        x = keras.layers.Conv2D(6, 3, 2, padding="same", name=f"conv_{k}")(x)
        x = keras.layers.BatchNormalization(name=f"norm_{k}")(x)
        x = keras.layers.ReLU(name=f"relu_{k}")(x)
        pooled = keras.layers.GlobalAveragePooling2D(name=f"mean_{k}")(x)
        logits.append(keras.layers.Dense(4, name=f"exit_{k}")(pooled))
        x = GradientScale(0.5, name=f"scale_{k}")(x)
    return keras.Model(image, logits)


def prepared(model, objective=None):
    objective = objective or objectives.build("joint")
    extended = objective.extend(model)
    task = Task(
        model=extended.model,
        exits=2,
        images=[IMAGES],
        objective=objective,
        loss=extended.loss,
    )
    return methods.get("keras")(task)


def weights(quantized):
    return {each.path: each.numpy() for each in quantized.deployed().variables}


class Memory:
    """Keeps a state in memory, as the stage does on disk."""

    def __init__(self):
        self.kept, self.taken = None, 0

    def restore(self, model, optimizer):
        if self.kept:
            model.set_weights(self.kept[0])
            for variable, value in zip(
                optimizer.variables, self.kept[1], strict=True
            ):
                variable.assign(value)
        return self.taken

    def save(self, model, optimizer, steps):
        state = [each.numpy() for each in optimizer.variables]
        self.kept, self.taken = (model.get_weights(), state), steps


def tuned(quantized, steps, stop=None, checkpoints=None, rate=0.05):
    losses = quantized.fine_tune(
        lambda start: itertools.islice(itertools.cycle(BATCHES), start, None),
        learning_rate=rate,
        steps=steps,
        checkpoints=checkpoints,
    )
    return list(itertools.islice(losses, stop))


def test_it_learns_and_leaves_the_model():
    model = network()
    before = model.get_weights()
    losses = tuned(prepared(model), 40, rate=0.1)
    assert np.mean(losses[-6:]) < 0.97 * np.mean(losses[:6])
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_one_that_was_killed_ends_with_the_same_weights():
    through = prepared(network())
    losses = tuned(through, 6)
    memory = Memory()
    tuned(prepared(network()), 6, stop=3, checkpoints=memory)
    again = prepared(network())
    assert tuned(again, 6, checkpoints=memory) == losses[3:]
    expected = weights(through)
    for path, value in weights(again).items():
        np.testing.assert_array_equal(value, expected[path], path)


def test_frozen_layers_stay():
    model = network()
    for name in ("conv_0", "norm_0"):
        model.get_layer(name).trainable = False
    quantized = prepared(model)
    before = weights(quantized)
    tuned(quantized, 2)
    moved = {
        path
        for path, value in weights(quantized).items()
        if not np.array_equal(value, before[path])
    }
    named = {path for path in moved if "range" not in path}
    assert not any("conv_0" in path or "norm_0" in path for path in named)
    assert any("conv_1" in path for path in named)
    # What a frozen layer gives has a range, which may follow the batches.
    assert any("range" in path for path in moved)


@pytest.mark.parametrize("name", ["boosted", "zero_time_waste", "one_for_all"])
def test_objectives_that_extend_the_model(name):
    arguments = {
        "boosted": {},
        "zero_time_waste": {"backbone": network()},
        "one_for_all": {"teacher": network()},
    }[name]
    quantized = prepared(network(), objectives.build(name, **arguments))
    losses = tuned(quantized, 3)
    assert len(losses) == 3
    assert np.isfinite(losses).all()


def test_a_teacher_is_asked():
    teacher = network()
    teacher.trainable = False
    objective = objectives.Objective(
        lambda model: objectives.Extended(
            model,
            lambda labels, outputs, taught: keras.ops.mean(
                keras.ops.square(outputs[-1] - taught)
            ),
        ),
        teacher,
    )
    losses = tuned(prepared(network(), objective), 1)
    # The network is its own teacher, but for batch statistics and rounding.
    assert losses[0] > 0


def test_the_gradient_is_scaled():
    """Compares a step's change of what lies behind a scale of 0."""
    model = network()
    for layer in model.layers:
        if isinstance(layer, GradientScale):
            layer.factor = 0.0
    joint = objectives.build("joint", weights=[0.0, 1.0])
    quantized = prepared(model, joint)
    before = weights(quantized)
    tuned(quantized, 1)
    for path, value in weights(quantized).items():
        if "conv_0" in path and "range" not in path:
            np.testing.assert_array_equal(value, before[path])


def test_layers_whose_training_differs_are_trained():
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3), name="image")
    x = keras.layers.Conv2D(6, 3, padding="same")(image)
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = Gate(noise=(0.1, 0.1), name="gate")(Score(1, name="score")(mean))
    branch = keras.layers.Conv2D(6, 3, padding="same", name="branch")(x)
    x = keras.layers.Add()([x, keras.layers.Multiply()([branch, gate])])
    x = keras.layers.LayerNormalization(name="norm")(keras.layers.ReLU(0.5)(x))
    x = keras.layers.Activation("hard_sigmoid")(x)
    pooled = keras.layers.GlobalAveragePooling2D()(x)
    logits = [keras.layers.Dense(4, name=f"exit_{k}")(pooled) for k in (0, 1)]
    quantized = prepared(keras.Model(image, logits))
    before = weights(quantized)
    assert np.isfinite(tuned(quantized, 2)).all()
    moved = {
        path.split("/")[0]
        for path, value in weights(quantized).items()
        if not np.array_equal(value, before[path])
    }
    assert {"branch", "score", "norm_gamma", "norm_beta", "exit_1"} <= moved
