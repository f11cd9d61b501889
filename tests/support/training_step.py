"""Takes one training step of small models, on the backend of the environment.

Run as `python one_step.py OUTPUT.npz`; nothing in the arrays but rounding
depends on the backend.
"""

import inspect
import sys

import keras
import numpy as np

from keras_dynamic import models, objectives
from keras_dynamic.training.coupled_sgd import CoupledSGD
from keras_dynamic.training.trainer import Trainer

FAMILIES = {
    "ranet": {
        "input_shape": (8, 8, 1),
        "channels": 4,
        "growth_rate": 4,
        "step": 1,
        "block_step": 1,
        "scales": (1, 2),
        "growth_factors": (1, 1),
        "bottleneck_factors": (2, 2),
        "head_width": 8,
    },
    "msdnet": {
        "input_shape": (8, 8, 1),
        "channels": 4,
        "growth_rate": 4,
        "growth_factors": (1, 2),
        "bottleneck_factors": (1, 2),
        "blocks": 2,
        "base": 1,
        "step": 1,
        "head_width": 8,
    },
    "basisnet": {
        "input_shape": (8, 8, 1),
        "preview": {"family": "resnet", "blocks": 1, "widths": (4,)},
        "preview_size": 4,
        "specialist": {
            "family": "mobilenet_v2",
            "width": 0.1,
            "downsampling": 2,
        },
        "bases": 2,
    },
    "lcnet": {
        "input_shape": (8, 8, 1),
        "backbone": {"family": "resnet", "blocks": 1, "widths": (4, 8)},
        "channels": "groups",
        "groups": 2,
        "exits": (0,),
        "head_width": 8,
        # Backends draw other numbers: so little that it makes no difference.
        "noise": (1e-6, 1e-6),
    },
}
# Of objectives that fit one of these families only.
ARGUMENTS = {"cost_target": {"target": 0.5}}
CLASSES = 5


def plain(input_shape, classes):
    """Builds a small network with two exits, for trying the objectives."""
    images = x = keras.Input(input_shape)
    exits = []
    for k in range(2):
        x = keras.layers.Conv2D(4, 3, padding="same", name=f"conv_{k}")(x)
        x = keras.layers.BatchNormalization(name=f"norm_{k}")(x)
        x = keras.layers.ReLU(name=f"relu_{k}")(x)
        features = keras.layers.GlobalAveragePooling2D(name=f"exit_{k}_pool")(x)
        exits.append(keras.layers.Dense(classes, name=f"exit_{k}")(features))
    return keras.Model(images, exits)


def cases():
    """Yields a family and an objective that needs no other model."""
    for family in FAMILIES:
        yield family, "cost_target" if family == "lcnet" else "joint"
    for name, builder in sorted(objectives.BUILDERS.items()):
        needed = [
            parameter.name
            for parameter in inspect.signature(builder).parameters.values()
            if parameter.default is parameter.empty
        ]
        if name != "joint" and not needed:
            yield "plain", name


def fill(model):
    """Gives the weights values that every backend gets."""
    generator = np.random.default_rng(0)
    for weight in model.weights:
        drawn = generator.normal(0.0, 0.3, weight.shape)
        if weight.name in ("gamma", "moving_variance"):
            drawn = np.exp(drawn)
        weight.assign(drawn.astype(np.float32))


def step(family, objective):
    """Returns the loss, and the weights and statistics after a step."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    if family == "plain":
        model = plain((8, 8, 1), CLASSES)
    else:
        model = models.build(family, classes=CLASSES, **FAMILIES[family])
    built = objectives.build(objective, **ARGUMENTS.get(objective, {}))
    trainer = Trainer(model, built)
    fill(trainer.model)
    trainer.compile(
        optimizer=CoupledSGD(0.1), jit_compile=keras.backend.backend() == "jax"
    )
    # With seed 1 a value before a ReLU of the RANet is 0 but for rounding, and
    # the backends take different gradients.
    generator = np.random.default_rng(2)
    images = generator.random((16, 8, 8, 1), np.float32)
    labels = generator.integers(0, CLASSES, 16).astype(np.int32)
    before = trainer.model.get_weights()
    found = trainer.train_on_batch(images, labels, return_dict=True)
    arrays = {"loss": np.float64(found["loss"])}
    for weight, start in zip(trainer.model.weights, before, strict=True):
        value = keras.ops.convert_to_numpy(weight)
        arrays[weight.path] = value
        arrays[f"{weight.path} moved"] = np.abs(value - start).max()
    return arrays


if __name__ == "__main__":
    found = {
        f"{family}/{objective}/{name}": value
        for family, objective in cases()
        for name, value in step(family, objective).items()
    }
    np.savez(sys.argv[1], **found)
