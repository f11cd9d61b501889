"""Defines a method: what it is given, and what it makes."""

import abc
import dataclasses
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_dynamic.objectives import Objective
from tflite.quantization.native.fine_tuning import Batches, Checkpoints


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """Holds a float model, and what its quantization starts from.

    Attributes:
        model: The model, whose first outputs are the exits; with an objective,
            as that extended it. A method that does not train takes any that
            can be called; the others a functional one. It is not changed.
        exits: How many exits there are.
        images: Batches float32 [B, H, W, C] in [0, 1], from which ranges are
            taken.
        objective: The objective of fine-tuning; None if there is none.
        loss: The loss of the model, as the objective extended it.
        keep_float: Names of layers without a form in int8 that stay float.
    """

    model: keras.Model
    exits: int
    images: Sequence[np.ndarray]
    objective: Objective | None = None
    loss: Callable[..., Any] | None = None
    keep_float: Collection[str] = ()


class Quantized(abc.ABC):
    """Describes a model on its way to int8.

    Attributes:
        trains: Whether it can be fine-tuned.
    """

    trains = True

    @abc.abstractmethod
    def deployed(self) -> Any:
        """Returns the model of the exits alone, of either Keras."""

    @abc.abstractmethod
    def fine_tune(
        self,
        batches: Batches,
        *,
        learning_rate: float,
        steps: int,
        checkpoints: Checkpoints | None = None,
    ) -> Iterator[float]:
        """Trains some steps with SGD, its rate falling along a cosine.

        Args:
            batches: Images and labels, from a step on.
            learning_rate: That of the first step.
            steps: Number of steps.
            checkpoints: Where the state is kept, by methods that can go on
                after a kill.

        Yields:
            The loss of each step.

        Raises:
            ValueError: If a loss is not finite, or the method trains nothing.
        """

    @abc.abstractmethod
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """Returns the ends of each activation range, by the layer's name."""

    @abc.abstractmethod
    def save(self, path: str | os.PathLike) -> None:
        """Writes a directory that `tflite.quantization.conversion` reads."""
