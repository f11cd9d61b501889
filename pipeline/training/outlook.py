"""Says before a training what it takes: images, steps, memory, and time."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping

import keras
from absl import logging

from keras_dynamic.graph import functional

# The first steps also trace the graph; from those after them time is told.
_FIRST, _TIMED = 3, 10


def say(
    counts: Mapping[str, int], steps: int, batch_size: int, model: keras.Model
) -> None:
    """Logs what a stage of a training takes.

    Args:
        counts: Images of each split.
        steps: Steps of an epoch.
        batch_size: Images of a step.
        model: The model, or the part of it that is trained.
    """
    logging.info(
        "images: %s; %d steps of %d in an epoch; %s weights trained; about "
        "%.2f GiB for weights and activations",
        ", ".join(f"{split} {count}" for split, count in counts.items()),
        steps,
        batch_size,
        f"{_count(model.trainable_variables):,}",
        memory(model, batch_size) / 2**30,
    )


def memory(model: keras.Model, batch_size: int) -> int:
    """Estimates the bytes of a training step.

    They are those of all weights and what every layer gives; for what is
    trained also of a gradient and one variable of the optimizer. What an
    operation needs in passing is left out, so more will be taken.
    """
    weights = _count(model.variables) + 2 * _count(model.trainable_variables)
    values = sum(
        math.prod(size or 1 for size in tensor.shape[1:])
        for node in functional.calls_in_order(model)
        for tensor in node.outputs
    )
    return 4 * (weights + batch_size * values)


def timed(steps: Iterable, count: int) -> Iterator:
    """Yields steps, and logs after some of them how long `count` will take."""
    begun = 0.0
    for number, step in enumerate(steps):
        if number == _FIRST:
            begun = time.monotonic()
        if number == _FIRST + _TIMED:
            seconds = (time.monotonic() - begun) / _TIMED * count
            logging.info("about %.0f s an epoch", seconds)
        yield step


def _count(variables) -> int:
    return sum(math.prod(each.shape) for each in variables)
