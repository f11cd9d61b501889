"""Builds a chain of small float segments by hand: fast, without TensorFlow."""

import numpy as np

from keras_dynamic.exits.decision.policy import Policy
from tests.support.tiny_graph import TinyGraph
from tflite import bundle
from tflite.cutting import split

SHAPE = (4, 4, 3)
CLASSES = 5
INPUT = bundle.InputFacts(SHAPE, "float32", 1 / 255, 0)


def images(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *SHAPE), np.uint8)


def segments(exits: int = 3, *, rereads: bool = False):
    """Returns the segments; with `rereads` the last reads the image again."""
    rng = np.random.default_rng(0)
    graph = TinyGraph()
    image = graph.tensor([1, *SHAPE], name="image")
    size = int(np.prod(SHAPE))
    wide, few = graph.tensor([1, size]), graph.tensor([1, CLASSES])

    def dense(x, outputs, like):
        values = rng.normal(size=(outputs, size)) / np.sqrt(size)
        weights = graph.constant(values.astype(np.float32))
        return graph.run("FULLY_CONNECTED", [x, weights, -1], like=like)

    hidden, heads = image, []
    for k in range(exits):
        last = k == exits - 1
        source = image if last and rereads else hidden
        more = dense(source, size, wide)
        hidden = graph.run("ADD", [more, hidden]) if k and rereads else more
        heads.append(dense(hidden, CLASSES, few))
    names = {"image": image} | {f"exit_{k}": t for k, t in enumerate(heads)}
    return split.split(graph.write([image], heads, names))


def policy_of(thresholds, enabled=None) -> Policy:
    """Returns a policy of one threshold for the largest probability."""
    count = len(thresholds)
    return Policy(
        temperatures=(1.0,) * count,
        thresholds=tuple(map(float, thresholds)),
        enabled=tuple(enabled or [True] * count),
    )
