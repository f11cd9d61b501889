"""Lets others look on at a training: in a terminal and in TensorBoard."""

import collections
import pathlib
from collections.abc import Mapping

import numpy as np

from pipeline.training import epochs
from pipeline.training.epochs import Epoch
from pipeline.training.events import Events

_EXAMPLES = 16  # Images that TensorBoard shows, as the model sees them.


class Callback:
    """Looks on at a training; it changes nothing.

    Only the first of several processes calls it.
    """

    def began(self, epoch: int, pixels: np.ndarray) -> None:
        """Is called before the first step of each stage.

        Args:
            epoch: Finished epochs; not 0 if the training goes on, or in
                another stage than the first.
            pixels: The first batch of the next one, augmented, float32
                [B, H, W, C] in [0, 1].
        """

    def epoch_ended(self, epoch: Epoch, scalars: Mapping[str, float]) -> None:
        """Is called after each epoch, before its state is written.

        Args:
            epoch: Numbers of the epoch that a terminal shows.
            scalars: These numbers and more, by the names that TensorBoard
                shows.
        """

    def ended(self) -> None:
        """Is called after the last epoch."""


class Rows(Callback):
    """Prints a row per epoch, or logs a line."""

    def __init__(self):
        """Begins with a heading."""
        self._stage = 0

    def epoch_ended(self, epoch: Epoch, scalars: Mapping[str, float]) -> None:
        """Prints the row."""
        epochs.say(epoch, first=epoch.stage != self._stage)
        self._stage = epoch.stage


class Board(Callback):
    """Writes TensorBoard's events."""

    def __init__(self, directory: pathlib.Path):
        """Begins a new file of events in a directory."""
        self._events = Events(directory)

    def began(self, epoch: int, pixels: np.ndarray) -> None:
        """Shows a few images as the model sees them."""
        self._events.images("train", epoch, "images", pixels[:_EXAMPLES])

    def epoch_ended(self, epoch: Epoch, scalars: Mapping[str, float]) -> None:
        """Adds a point to each curve."""
        runs = collections.defaultdict(dict)
        for key, value in scalars.items():
            run, _, name = key.partition("/")
            runs[run][name] = value
        for run, values in runs.items():
            self._events.scalars(run, epoch.number, values)

    def ended(self) -> None:
        """Closes the file."""
        self._events.close()
