"""Gives a finished bundle another policy, as its own or as one by name."""

import os
import pathlib
import re
import shutil
from collections.abc import Mapping, Sequence

from absl import logging

from keras_dynamic import exits
from pipeline.policies import refit
from pipeline.policies.refit import Refit
from pipeline.storage import publishing
from tflite import bundle
from tflite.bundle import manifest


def fit(
    directory: str | os.PathLike,
    name: str | None = None,
    *,
    max_drop: float | None = None,
    budget_madds: float | None = None,
    budget_ms: float | None = None,
    exit_ms: Sequence[float] | None = None,
) -> Refit:
    """Fits a policy to what a bundle recorded, and writes the bundle anew.

    Args:
        directory: The bundle; not its bundle.zip, which lacks the record.
        name: Operating point to add or replace; None replaces the bundle's
            default policy.
        max_drop: Accuracy that may be lost against the last exit, a share of
            the images; the cheapest policy is sought.
        budget_madds: Highest mean number of multiply-adds of an image; the
            most accurate policy is sought.
        budget_ms: Highest mean number of milliseconds of an image. One of the
            three must be given.
        exit_ms: Milliseconds up to each exit, [K]; for `budget_ms` measured
            here if they are not given, otherwise multiply-adds are the cost.

    Returns:
        The policy, and its results on the calibration images.

    Raises:
        ValueError: If an argument is not as said, no policy does what is asked
            for, or the bundle cannot be refitted.
    """
    targets = {
        "max_drop": max_drop,
        "budget_madds": budget_madds,
        "budget_ms": budget_ms,
    }
    given = [target for target, value in targets.items() if value is not None]
    if len(given) != 1:
        raise ValueError(
            "One of `max_drop`, `budget_madds` and `budget_ms` must be given. "
            f"Received: {' and '.join(given) or 'none'}"
        )
    if exit_ms is not None and budget_madds is not None:
        raise ValueError(
            "`exit_ms` must be left out where `budget_madds` is given. "
            f"Received: {list(exit_ms)}"
        )
    if name is not None:
        manifest.check_point_name(name)
    _check_directory(directory)
    # From reading to publishing, else another one's point would be lost.
    with publishing.alone(directory):
        opened = bundle.read(os.fspath(directory))
        if budget_ms is not None and exit_ms is None:
            exit_ms = refit.measure(opened)
            logging.info(
                "measured here: %s ms up to each exit",
                ", ".join(f"{ms:.4g}" for ms in exit_ms),
            )
        budget = budget_madds if budget_ms is None else budget_ms
        found = refit.refit(
            opened, max_drop=max_drop, budget=budget, exit_ms=exit_ms
        )
        points = dict(opened.operating_points)
        if name is None:
            _publish(opened, found.policy, points)
        else:
            _publish(opened, opened.policy, {**points, name: found.policy})
    return found


def remove(directory: str | os.PathLike, name: str) -> None:
    """Takes an operating point out of a bundle.

    Raises:
        ValueError: If the bundle has no such point, or cannot be read.
    """
    _check_directory(directory)
    with publishing.alone(directory):
        opened = bundle.read(os.fspath(directory))
        points = dict(opened.operating_points)
        if points.pop(name, None) is None:
            raise ValueError(
                "`name` must be an operating point of the bundle: "
                f"{', '.join(sorted(points)) or 'there is none'}. "
                f"Received: {name}"
            )
        _publish(opened, opened.policy, points)


def _check_directory(directory: str | os.PathLike) -> None:
    if os.path.isfile(directory):
        raise ValueError(
            "`directory` must be that of a bundle: what a policy is fitted to "
            f"is not in {bundle.ARCHIVE}. Received: {directory}"
        )


def _publish(
    opened: bundle.Bundle,
    policy: exits.Policy,
    points: Mapping[str, exits.Policy],
) -> None:
    """Replaces the bundle by one with these policies; keeps other files."""
    there = "|".join(map(re.escape, publishing.names(opened.directory)))
    with publishing.published(
        opened.directory, re.compile(there), held=True
    ) as stage:
        bundle.rewrite(
            opened, str(stage), policy=policy, operating_points=points
        )
        for other in pathlib.Path(opened.directory).iterdir():
            if (stage / other.name).exists():
                continue
            if other.is_dir() and not other.is_symlink():
                shutil.copytree(
                    other,
                    stage / other.name,
                    symlinks=True,
                    copy_function=_keep,
                )
            else:
                _keep(other, stage / other.name)


def _keep(source: str | os.PathLike, target: str | os.PathLike) -> None:
    """Puts a file that is not ours into the new directory, too.

    A hard link is made, whatever it is: it may be a pipe, or have a terabyte
    that is not on the disk.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # A file system without hard links.
        shutil.copy2(source, target, follow_symlinks=False)
