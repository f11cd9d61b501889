"""Trains a model with fake quantization by the trainer of the float model."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import keras

from keras_dynamic.objectives import Extended, Objective
from keras_dynamic.training.trainer import Trainer, deployed

Batches = Callable[[int], Iterable[tuple[Any, Any]]]
"""Gives the batches from a step on, which is counted from 0."""


class Checkpoints(Protocol):
    """Keeps the state of a fine-tuning, so that it goes on where it stopped."""

    def restore(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer
    ) -> int:
        """Reads the state that was kept, and returns the steps it has taken.

        They are 0, and nothing is read, if there is none of this fine-tuning.
        """

    def save(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        steps: int,
    ) -> None:
        """Keeps the state after some steps, or not, if it is too early."""


def trainer_of(
    model: keras.Model,
    exits: int,
    objective: Objective,
    loss: Callable[..., Any],
    optimizer: keras.optimizers.Optimizer,
) -> Trainer:
    """Returns a trainer of a model with fake quantization.

    Args:
        model: The model, of an objective's extended outputs.
        exits: How many of the outputs are exits.
        objective: The objective that extended the float model.
        loss: The loss of that extended model.
        optimizer: The optimizer; it is built.
    """
    extended = Objective(lambda _: Extended(model, loss), objective.teacher)
    trainer = Trainer(deployed(model, exits), extended, optimizer=optimizer)
    optimizer.build(trainer.trainable_variables)
    return trainer


def sgd(learning_rate: float, steps: int) -> keras.optimizers.Optimizer:
    """Returns SGD with momentum, its rate falling to zero along a cosine."""
    return keras.optimizers.SGD(
        keras.optimizers.schedules.CosineDecay(learning_rate, max(1, steps)),
        momentum=0.9,
    )


def fine_tune(
    trainer: Trainer,
    batches: Batches,
    steps: int,
    checkpoints: Checkpoints | None = None,
) -> Iterator[float]:
    """Trains some steps.

    Args:
        trainer: From `trainer_of`, ranges initialised.
        batches: Images float32 [B, H, W, C] in [0, 1] and labels int32 [B].
        steps: Number of steps, those of a killed run among them.
        checkpoints: Where the state is kept; None keeps none.

    Yields:
        The loss of each step that this run takes.

    Raises:
        ValueError: If a loss is not finite.
    """
    taken = 0
    if checkpoints:
        taken = checkpoints.restore(trainer.model, trainer.optimizer)
    return _steps(trainer, iter(batches(taken)), taken, steps, checkpoints)


def _steps(trainer, stream, taken, steps, checkpoints):
    for step in range(taken + 1, steps + 1):
        try:
            images, labels = next(stream)
        except StopIteration:
            return
        # Means start anew, so that the loss is that of this batch.
        trainer.reset_metrics()
        logs = trainer.train_on_batch(images, labels, return_dict=True)
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise ValueError(
                "The loss must stay finite; lower `learning_rate`. "
                f"Received: loss={loss} at step {step}"
            )
        if checkpoints:
            checkpoints.save(trainer.model, trainer.optimizer, step)
        yield loss
