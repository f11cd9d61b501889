"""Measures whether exits pay: routed chains beside all static networks.

    python benchmarks/it_pays.py OUTPUT.csv WORKDIR...

Each WORKDIR is a finished `keras-dynamic run` on the same images. A network
with several exits takes part as its chain under policies that may lose
DROPS of accuracy on the calibration images, and cut back to each exit alone; a
network with one exit as it is. All are timed side by side, image by image, on
test images in random order, on one thread. OUTPUT.csv has a row for each, with
its int8 accuracy on all test images, its mean multiply-adds and milliseconds,
and the ends of the 95 % interval of the mean, from blocks of rounds. The last
lines printed are, for each routed row, the fastest static one that is as
accurate, and the ratio of their times.
"""

import argparse
import csv
import dataclasses
import json
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import machine
import numpy as np

from pipeline.data import augmentation, dataset
from pipeline.policies import operating_points
from pipeline.results import predictions
from pipeline.results.layout import Layout
from tflite.cutting import truncate
from tflite.timing import latency
from tflite.timing.contestants import Contestant

DROPS = (0.0025, 0.005, 0.01, 0.02, 0.04)
_BLOCKS, _DRAWS = 50, 2000
_TIMES = ("milliseconds", "milliseconds_low", "milliseconds_high")


@dataclasses.dataclass(frozen=True)
class Entry:
    """Describes a way to classify, whose time is to be measured.

    Attributes:
        contestant: The way.
        family: Family of the network.
        configuration: Name of its configuration.
        seed: Seed of its training.
        epochs: Epochs of its training.
        kind: "routed", "cut" (the network, cut back to one exit), or "static".
        point: The accuracy that a policy may lose, or the exit.
        accuracy: Of the int8 model, on all test images.
        madds: Mean multiply-adds.
    """

    contestant: Contestant
    family: str
    configuration: str
    seed: int
    epochs: int
    kind: str
    point: float
    accuracy: float
    madds: float


def main() -> None:
    """Times all and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("workdirs", nargs="+", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        entries = [
            entry
            for number, workdir in enumerate(arguments.workdirs)
            for entry in _entries(
                Layout(workdir.absolute()), pathlib.Path(directory, str(number))
            )
        ]
        measured = latency.measure(
            {i: each.contestant.load() for i, each in enumerate(entries)},
            _images(Layout(arguments.workdirs[0].absolute())),
            warmup=200,
            runs=arguments.rounds,
            seed=0,
        )
    calls = np.array([measured.times[i].call for i in range(len(entries))])
    rows = [
        _row(entry) | dict(zip(_TIMES, _interval(spent), strict=True))
        for entry, spent in zip(entries, calls, strict=True)
    ]
    facts = machine.machine()
    for row in rows:
        row["processor"] = facts["processor"]
    with arguments.output.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    _compare(rows, calls)


def _entries(layout: Layout, directory: pathlib.Path) -> Iterator[Entry]:
    """Makes what takes part of a working directory."""
    config = json.loads(layout.config.read_text())
    metrics = json.loads(layout.metrics.read_text())
    directory.mkdir()
    common = {
        "family": config["model"]["family"],
        "configuration": config["name"],
        "seed": config["seed"],
        "epochs": config["train"]["epochs"],
    }
    found = metrics["exits"]
    model = layout.tflite_model.read_bytes()
    for exit, row in enumerate(found):
        path = directory / f"exit_{exit}.tflite"
        path.write_bytes(truncate.truncate(model, f"exit_{exit}"))
        yield Entry(
            Contestant("tflite", str(path)),
            kind="cut" if len(found) > 1 else "static",
            point=exit,
            accuracy=row["accuracy"]["int8"],
            madds=row["madds"],
            **common,
        )
    if len(found) == 1:
        return
    costs = np.array([row["madds"] for row in found])
    test = predictions.load(layout.predictions, "test")
    for drop in DROPS:
        bundle = directory / f"drop_{drop}"
        shutil.copytree(layout.bundle, bundle)
        policy = operating_points.fit(bundle, max_drop=drop).policy
        taken = policy.route(test.logits)
        answers = test.logits[taken, np.arange(len(taken))].argmax(axis=-1)
        yield Entry(
            Contestant("routed", str(bundle)),
            kind="routed",
            point=drop,
            accuracy=float((answers == test.labels).mean()),
            madds=float(costs[taken].mean()),
            **common,
        )


def _images(layout: Layout) -> np.ndarray:
    config = json.loads(layout.config.read_text())
    return augmentation.center_crop(
        dataset.load(layout.data, "test").images, config["model"]["size"]
    )


def _row(entry: Entry) -> dict:
    row = dataclasses.asdict(entry)
    del row["contestant"]
    return row


def _interval(spent: np.ndarray) -> tuple[float, float, float]:
    """Returns the mean of [R] and the ends of its 95 % interval."""
    means = _drawn(spent[None])[0]
    return float(spent.mean()), *map(float, np.percentile(means, (2.5, 97.5)))


def _drawn(spent: np.ndarray) -> np.ndarray:
    """Draws blocks of [E, R] with replacement; returns means [E, draws].

    A block is of rounds that follow each other: what slows the machine down
    for a while lasts longer than a round.
    """
    blocks = np.array_split(spent, _BLOCKS, axis=1)
    means = np.stack([block.mean(axis=1) for block in blocks], axis=1)
    chosen = np.random.default_rng(0).integers(0, _BLOCKS, (_DRAWS, _BLOCKS))
    return means[:, chosen].mean(axis=2)


def _compare(rows: list[dict], calls: np.ndarray) -> None:
    """Prints each routed row beside the fastest static one as accurate."""
    means = _drawn(calls)
    for i, row in enumerate(rows):
        if row["kind"] != "routed":
            continue
        rivals = [
            j
            for j, other in enumerate(rows)
            if other["kind"] != "routed"
            and other["accuracy"] >= row["accuracy"]
        ]
        said = f"{row['configuration']} seed {row['seed']}, {row['point']}: "
        said += f"{row['accuracy']:.2%} in {row['milliseconds']:.4f} ms"
        if not rivals:
            print(f"{said}; no static network is as accurate")
            continue
        best = min(rivals, key=lambda j: rows[j]["milliseconds"])
        low, high = np.percentile(means[i] / means[best], (2.5, 97.5))
        other = rows[best]
        print(
            f"{said}; {other['configuration']} ({other['kind']} "
            f"{other['point']}) {other['accuracy']:.2%} in "
            f"{other['milliseconds']:.4f} ms; ratio "
            f"{row['milliseconds'] / other['milliseconds']:.3f} "
            f"[{low:.3f}, {high:.3f}]"
        )


if __name__ == "__main__":
    main()
