"""Builds small networks with exits, and references for their objectives."""

import keras
import numpy as np
import tensorflow as tf

from keras_dynamic.models import msdnet, ranet

CLASSES = 3
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(8, 5)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, 8)
PIXELS = RNG.random((4, 8, 8, 1), np.float32)
LOGITS = [RNG.normal(0, 3, (8, CLASSES)).astype(np.float32) for _ in range(5)]


def chain(exits: int = 3, seed: int = 0) -> keras.Model:
    """Builds blocks in a row, with an exit behind each."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((5,), name="image")
    logits = []
    for exit in range(exits):
        x = keras.layers.Dense(6, "tanh", name=f"block{exit}")(x)
        x = keras.layers.BatchNormalization(name=f"block{exit}_bn")(x)
        head = keras.layers.Dense(4, "tanh", name=f"exit_{exit}_0")(x)
        logits.append(keras.layers.Dense(CLASSES, name=f"exit_{exit}")(head))
    return keras.Model(inputs, logits, name="chain")


def loss(objective, logits, taught=None, labels=LABELS):
    """Returns the objective of logits, those of a model with as many exits."""
    extended = objective.extend(chain(len(logits)))
    return extended.loss(labels, logits, taught)


def family(name: str) -> keras.Model:
    """Builds the smallest of a model family, for 8x8 images."""
    keras.utils.set_random_seed(0)
    common = {
        "input_shape": (8, 8, 1),
        "classes": CLASSES,
        "channels": 4,
        "growth_rate": 4,
        "growth_factors": (1,),
        "bottleneck_factors": (1,),
        "step": 1,
        "head_width": 4,
    }
    if name == "ranet":
        return ranet(scales=(1,), **common)
    return msdnet(blocks=2, base=1, **common)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def cross_entropy(logits: np.ndarray) -> float:
    return -np.mean(log_softmax(logits)[np.arange(len(LABELS)), LABELS])


def divergence(taught: np.ndarray, logits: np.ndarray, temperature: float):
    """Returns the batch's mean of KL(taught || logits) at a temperature."""
    theirs, ours = (log_softmax(x / temperature) for x in (taught, logits))
    return np.mean(np.sum(np.exp(theirs) * (theirs - ours), axis=1))


def gradients(model: keras.Model, loss) -> dict[str, np.ndarray]:
    """Returns gradients of `loss(outputs)` in training by path; 0 if none."""
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        value = loss(model(IMAGES, training=True))
    found = tape.gradient(
        value,
        [variable.value for variable in variables],
        unconnected_gradients="zero",
    )
    return {
        variable.path: np.asarray(each)
        for variable, each in zip(variables, found, strict=True)
    }


def assert_same(ours: dict, theirs: dict, where=lambda path: True) -> None:
    """Compares gradients whose path is chosen; there must be some."""
    chosen = [path for path in theirs if where(path)]
    assert chosen
    for path in chosen:
        np.testing.assert_allclose(
            ours[path], theirs[path], rtol=1e-4, atol=1e-6, err_msg=path
        )


def step(trainer) -> float:
    """Takes a training step on a batch; returns the loss before it."""
    trainer.compile(
        optimizer=keras.optimizers.SGD(0.1), jit_compile=False, run_eagerly=True
    )
    pixels = trainer.model.inputs[0].shape[1:] == PIXELS.shape[1:]
    images = PIXELS if pixels else IMAGES
    return float(
        trainer.train_on_batch(images, LABELS[: len(images)], return_dict=True)[
            "loss"
        ]
    )
