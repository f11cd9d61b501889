"""Makes an int8 bundle of three exits with its record, without a converter."""

import numpy as np

from keras_dynamic.exits.decision.policy import Policy
from tests.support.tiny_graph import TinyGraph
from tflite import bundle
from tflite.bundle import recorded_logits
from tflite.cutting import split

SHAPE = (2, 2, 4)
LABELS = ("a", "b", "c", "d")
MADDS = (100, 150, 350)
POLICY = Policy(
    temperatures=(1.0, 0.9, 0.8),
    thresholds=(0.5, 0.4, 0.0),
    enabled=(True, True, True),
)


def whole() -> bytes:
    """Builds an int8 model; each of 3 exits is the mean of a doubled image."""
    graph = TinyGraph()
    image = graph.tensor((1, *SHAPE), np.int8, scale=1 / 255, zero_point=-128)
    axes = graph.constant(np.array([1, 2], np.int32))
    x, names = image, {"image": image}
    for exit in range(3):
        x = graph.run("ADD", [x, x])
        logits = graph.tensor((1, len(LABELS)), np.int8, scale=0.0625)
        graph.operator("MEAN", [x, axes], [logits], keepDims=False)
        names[f"exit_{exit}"] = logits
    outputs = [names[f"exit_{exit}"] for exit in range(3)]
    return graph.write([image], outputs, names)


def segments() -> tuple[split.Segment, ...]:
    return split.split(whole(), [f"exit_{k}" for k in range(3)])


def recorded(images: int = 300, seed: int = 0) -> recorded_logits.Recorded:
    """Makes up answers: each exit is more often right than the one before."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(LABELS), images).astype(np.int32)
    difficulty = rng.exponential(1.0, (images, 1))
    logits = [
        strength * np.eye(len(LABELS))[labels] / (0.3 + difficulty)
        + rng.normal(0.0, 1.0, (images, len(LABELS)))
        for strength in (1.5, 3.0, 5.0)
    ]
    steps = np.clip(np.round(np.stack(logits) * 16), -128, 127)
    return recorded_logits.Recorded(labels, steps.astype(np.int8))


def write(directory, **changes) -> bundle.Bundle:
    facts = {
        "name": "tiny",
        "segments": [
            bundle.segment_facts(
                place, each.model, each.wiring, madds=MADDS[place], params=10
            )
            for place, each in enumerate(segments())
        ],
        "models": [each.model for each in segments()],
        "labels": LABELS,
        "input": bundle.InputFacts(SHAPE),
        "policy": POLICY,
        "provenance": {"config": "tiny", "versions": {"keras": "3"}},
        "calibration": recorded_logits.encode(recorded()),
    }
    return bundle.write(str(directory), **(facts | changes))
