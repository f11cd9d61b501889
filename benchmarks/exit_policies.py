"""Measures how long exit policies take to fit, in how much memory.

    python benchmarks/exit_policies.py FILE.json [--images=N --rounds=N]

Made-up logits of ten exits, float32, each exit more often right than the last.
Every part runs in a process of its own, on one thread, for so many rounds;
medians are noted. Seconds are those of the clock and of the processor: on a
machine that does other work only the latter say much. Peaks are those of the
whole process, the logits included.

| part | what it does |
|---|---|
| sweep, 10 and 100 classes | temperatures; scores; the papers' 39 sets of shares; the frontier, and from it a policy for a budget and one for a drop of accuracy |
| frontier | how many points of accuracy, at equal cost, the frontier that is found in the default work, and the one found in none, lie under the one with every single change tried; 5,000 images |
| scheduler | learns a scheduler from 5,000 images |
"""  # noqa: E501

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import machine
import numpy as np

from keras_dynamic import exits
from keras_dynamic.exits.fitting import frontier
from pipeline.storage import publishing

_EXITS = 10
_FEW = 5000


def main() -> None:
    """Runs all parts and writes the result, or runs one of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("output")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--classes", type=int)
    parser.add_argument("--only", choices=_PARTS)
    given = parser.parse_args()
    if given.only:
        directory = pathlib.Path(given.output)
        print(json.dumps(_PARTS[given.only](directory, given)))
        return
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # Of the processes to come.
    result = {}
    for name, images, classes in (
        ("sweep", given.images, 10),
        ("sweep", given.images, 100),
        ("frontier", _FEW, 10),
        ("scheduler", _FEW, 10),
        ("scheduler", _FEW, 100),
    ):
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, __file__, directory]
            size = [f"--images={images}", f"--classes={classes}"]
            # Not here: a process starts with the peak of the one before it.
            machine.child([*command, *size, "--only=write"])
            command.append(f"--only={name}")
            runs = [machine.child(command) for _ in range(given.rounds)]
        key = f"{name}, {images} images, {_EXITS} exits, {classes} classes"
        result[key] = _middle(runs)
        print(key, result[key], flush=True)
    publishing.write_json(
        given.output,
        {
            "command": f"python benchmarks/exit_policies.py FILE "
            f"--images={given.images} --rounds={given.rounds}",
            "parts": result,
            "machine": machine.machine(),
            "versions": machine.versions(),
        },
    )


def _middle(runs: list[dict]) -> dict:
    """Returns the median of each number."""
    return {
        key: _middle([run[key] for run in runs])
        if isinstance(runs[0][key], dict)
        else statistics.median(run[key] for run in runs)
        for key in runs[0]
    }


def _write(directory: pathlib.Path, given: argparse.Namespace) -> dict:
    """Writes logits, labels and costs."""
    images, classes = given.images, given.classes
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, images)
    difficulty = 2.0 * rng.normal(size=images)
    logits = rng.standard_normal((_EXITS, images, classes), np.float32)
    for exit, strength in enumerate(np.linspace(1.0, 3.5, _EXITS)):
        noise = 0.5 * rng.normal(size=images)
        logits[exit, np.arange(images), labels] += strength - difficulty + noise
    np.save(directory / "logits.npy", 1.5 * logits)
    np.save(directory / "labels.npy", labels)
    costs = np.cumsum(rng.integers(5, 20, _EXITS)) * 1_000_000
    np.save(directory / "costs.npy", costs)
    return {}


def _read(directory: pathlib.Path) -> list[np.ndarray]:
    names = ("logits", "labels", "costs")
    return [np.load(directory / f"{name}.npy") for name in names]


class _Clock:
    """Adds up seconds of the clock and of the processor, by name."""

    def __init__(self):
        self.seconds, self.cpu_s = {}, {}

    def timed(self, name: str, work: Callable) -> object:
        """Runs `work`, and returns its result."""
        start, cpu = time.perf_counter(), time.process_time()
        done = work()
        self.seconds[name] = time.perf_counter() - start
        self.cpu_s[name] = time.process_time() - cpu
        return done

    def sums(self) -> dict:
        """Returns `seconds` and `cpu_s` by name, each with the sum of all."""
        return {
            name: {**parts, "all": sum(parts.values())}
            for name, parts in vars(self).items()
        }


def _sweep(directory: pathlib.Path, _: argparse.Namespace) -> dict:
    logits, labels, costs = _read(directory)
    clock = _Clock()
    timed = clock.timed

    def temperatures() -> list[float]:
        fits = [exits.fit_temperature(each, labels) for each in logits]
        return [fit.temperature for fit in fits]

    fitted = timed("temperatures", temperatures)
    images = timed(
        "scores", lambda: exits.calibrate(logits, labels, costs, fitted)
    )

    def protocol() -> None:
        for p in range(1, 40):
            exits.budgeted_batch(images, q=p / 20)

    timed("39 sets of shares", protocol)
    timed("frontier", lambda: images.frontier)
    budget = float(costs.mean())
    timed("budget", lambda: exits.cost_budget(images, budget))
    timed("drop", lambda: exits.accuracy_drop(images, 0.005))
    return clock.sums()


def _frontier(directory: pathlib.Path, _: argparse.Namespace) -> dict:
    logits, labels, costs = _read(directory)
    images = exits.calibrate(logits, labels, costs, [1.0] * _EXITS)
    curves, clock = {}, _Clock()
    for name, work in (
        ("none", 0),
        ("default", frontier.WORK),
        ("all", 10**18),
    ):
        found = clock.timed(
            name,
            lambda work=work: frontier.frontier(
                images.scores, images.right, costs, work=work
            ),
        )
        budgets = np.linspace(costs[0], costs[-1], 200)
        chosen = [found.most_accurate(budget) for budget in budgets]
        curves[name] = 100 * found.hits[chosen] / found.images
    return {
        **clock.sums(),
        "points_below": {
            name: {
                "mean": float(np.mean(curves["all"] - curves[name])),
                "largest": float(np.max(curves["all"] - curves[name])),
            }
            for name in ("none", "default")
        },
    }


def _scheduler(directory: pathlib.Path, _: argparse.Namespace) -> dict:
    logits, labels, costs = _read(directory)
    clock = _Clock()
    budget = float(costs.mean())
    clock.timed(
        "fit",
        lambda: exits.fit_scheduler(
            logits, labels, costs, [1.0] * _EXITS, budget
        ),
    )
    return clock.sums()


_PARTS = {
    "write": _write,
    "sweep": _sweep,
    "frontier": _frontier,
    "scheduler": _scheduler,
}

if __name__ == "__main__":
    main()
