"""Prints an epoch as a row of a table, or logs it as a plain line."""

import dataclasses
import sys
from collections.abc import Sequence

from absl import logging

from pipeline.processes import printing, terminal


@dataclasses.dataclass(frozen=True)
class Epoch:
    """Holds the numbers of an epoch that has ended.

    Attributes:
        number: Number of the epoch, from 1.
        count: Number of all epochs.
        loss: Mean of the objective.
        train: Accuracy of each exit on the images trained on, while training.
        validation: Accuracy of each exit on the validation split.
        seconds: Seconds that it took.
        stage: Number of its stage, from 1.
        stages: Number of all stages.
    """

    number: int
    count: int
    loss: float
    train: Sequence[float]
    validation: Sequence[float]
    seconds: float
    stage: int = 1
    stages: int = 1


def say(epoch: Epoch, *, first: bool) -> None:
    """Prints a row, under a heading if it is the first; or logs a line.

    Args:
        epoch: The epoch.
        first: Whether it is the first one that is printed of its stage.
    """
    if not terminal.is_watched():
        logging.info(line(epoch))
        return
    if first:
        if epoch.stages > 1:
            text = f"stage {epoch.stage} of {epoch.stages}"
            printing.show(text, sys.stderr)
        printing.show(heading(epoch), sys.stderr)
    printing.show(row(epoch), sys.stderr)


def line(epoch: Epoch) -> str:
    """Returns all of an epoch in words and numbers, accuracies in percent."""
    stage = f"stage {epoch.stage}/{epoch.stages}  " if epoch.stages > 1 else ""
    return (
        f"{stage}epoch {epoch.number}/{epoch.count}  loss {epoch.loss:.3f}  "
        f"train {_percent(epoch.train)}  "
        f"validation {_percent(epoch.validation)}  {epoch.seconds:.1f} s"
    )


def heading(epoch: Epoch) -> str:
    """Returns the heads of the columns of `row`."""
    shares = len(_percent(epoch.validation))
    return terminal.row(
        ("epoch", "loss", "train %", "validation %", "seconds"),
        _widths(shares),
    )


def row(epoch: Epoch) -> str:
    """Returns the numbers of an epoch in columns, accuracies in percent."""
    shares = _percent(epoch.validation)
    return terminal.row(
        (
            f"{epoch.number}/{epoch.count}",
            f"{epoch.loss:.3f}",
            _percent(epoch.train),
            shares,
            f"{epoch.seconds:.1f}",
        ),
        _widths(len(shares)),
    )


def _widths(shares: int) -> tuple[int, ...]:
    return 9, 8, max(shares, 12), max(shares, 12), 8


def _percent(shares: Sequence[float]) -> str:
    # Five characters each, so that a hundred percent moves no column.
    return " ".join(f"{100 * share:5.1f}" for share in shares)
