"""Puts the average of the weights in the place of the last step's weights."""

import contextlib
from collections.abc import Iterable, Iterator

import keras

from pipeline.data import batches

# Batches from which the statistics of the averaged weights are taken. Those of
# the last step's weights count 0.9 to the power of that at the end, if batch
# normalization has our momentum.
BATCHES = 32
_STATISTICS = ("moving_mean", "moving_variance")


@contextlib.contextmanager
def averaged(
    trainer: keras.Model, images: Iterable[batches.Batch]
) -> Iterator[None]:
    """Gives a model its averaged weights for as long as the context lasts.

    The moving statistics of batch normalization are those of maps that other
    weights have made. They are taken anew, from the averaged weights: by
    forward passes as in training, over images that are augmented as there.
    Afterwards all variables are as they were before.

    Args:
        trainer: A `Trainer` with a built optimizer that has what
            `WeightAverage` has. Without an `average_decay` nothing happens.
        images: Some batches of what is trained on: images, or features.
    """
    optimizer, model = trainer.optimizer, trainer.model
    if not optimizer.average_decay:
        yield
        return
    before = _values(model.variables)
    try:
        for variable, average in zip(
            trainer.trainable_variables, optimizer.averages, strict=True
        ):
            variable.assign(average)
        others = _values(
            each for each in model.variables if each.name not in _STATISTICS
        )
        for inputs, _ in images:
            trainer.call(inputs, training=True)
        # Layers that count steps, or draw, have counted and drawn.
        _assign(others)
        yield
    finally:
        _assign(before)


def _values(variables):
    return [(each, keras.ops.convert_to_numpy(each)) for each in variables]


def _assign(values):
    for variable, value in values:
        variable.assign(value)
