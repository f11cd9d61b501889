"""Compares networks that are put together at random with their normal forms."""

import keras
import numpy as np
import pytest

from tests.support import normal_forms

L = keras.layers
ops = keras.ops

# Each takes a map and gives one with four channels.
STEPS = (
    lambda x: L.Conv2D(4, 3, padding="same", use_bias=False)(x),
    lambda x: L.Conv2D(4, 1, activation="silu")(x),
    lambda x: L.Conv2D(4, 3, padding="valid")(ops.pad(x, _EDGE)),
    lambda x: L.DepthwiseConv2D(3, padding="same")(x),
    lambda x: L.SeparableConv2D(4, 3, padding="same", activation="relu")(x),
    lambda x: L.Conv2DTranspose(4, 3, padding="same", use_bias=False)(x),
    lambda x: L.Dense(4, use_bias=False)(x),
    lambda x: L.BatchNormalization()(x),
    lambda x: L.LayerNormalization()(x),
    lambda x: L.Rescaling(0.5, offset=0.3)(x),
    lambda x: L.Activation("hard_swish")(x),
    lambda x: L.PReLU(shared_axes=[1, 2])(x),
    lambda x: L.Dropout(0.5)(x),
    lambda x: x * 0.7,
    lambda x: 1.0 - x,
    lambda x: x - np.arange(4, dtype=np.float32),
    lambda x: ops.clip(x, -1.0, 0.5),
    lambda x: ops.mean(x, axis=(1, 2), keepdims=True) + x,
    lambda x: ops.concatenate([x[..., 2:], x[..., :2]], axis=-1),
)
# Constants, and the layers that may take them in.
FOLDING = (*STEPS[:2], STEPS[3], *STEPS[5:8], STEPS[9], *STEPS[12:16])
_EDGE = ((0, 0), (1, 1), (1, 1), (0, 0))
JOINS = (
    lambda a, b: L.Add()([a, b]),
    lambda a, b: L.Maximum()([a, b]),
    lambda a, b: a - b,
    lambda a, b: a * ops.sigmoid(b),
)


def _graph(seed, steps):
    """A network of steps and joins, in which anything may be read again."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    image = keras.Input((6, 5, 4))
    known = [image]
    for _ in range(12):
        if rng.random() < 0.3:
            first, second = rng.integers(len(known), size=2)
            join = JOINS[rng.integers(len(JOINS))]
            known.append(join(known[first], known[second]))
        else:
            # Mostly the newest, so that chains come about.
            place = -1 if rng.random() < 0.7 else rng.integers(len(known))
            known.append(steps[rng.integers(len(steps))](known[place]))
    outputs = []
    for exit, x in enumerate([known[6], known[-1]]):
        x = L.GlobalAveragePooling2D()(x)
        outputs.append(L.Dense(3, name=f"exit_{exit}")(x))
    return normal_forms.randomized(keras.Model(image, outputs), seed)


@pytest.mark.parametrize("steps", [STEPS, FOLDING], ids=["all", "folding"])
@pytest.mark.parametrize("seed", range(16))
def test_a_random_graph(seed, steps):
    normal_forms.same(_graph(seed, steps))
