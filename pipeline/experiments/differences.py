"""Compares experiments by areas over a range of costs that both cover."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.experiments import seeds
from pipeline.experiments.gather import CURVES, RunGroup
from pipeline.experiments.seeds import OverSeeds

COLUMNS = (
    "experiment",
    "dataset",
    "model",
    "epochs",
    "measure",
    "point",
    "target",
    "madds",
    "mean",
    "min",
    "max",
    "seeds",
)


@dataclasses.dataclass(frozen=True)
class Gain:
    """Describes the lead of one experiment over another, by one curve.

    Attributes:
        first: Area of the experiment that the other is compared with.
        second: Area of the other experiment.
    """

    first: OverSeeds
    second: OverSeeds

    @property
    def mean(self) -> float:
        """Returns the second mean area less the first, a fraction."""
        return self.second.mean - self.first.mean

    @property
    def verdict(self) -> str:
        """Says whether the gain exceeds the seed spread; see `seeds.apart`."""
        beyond = seeds.apart(self.first, self.second)
        if beyond is None:
            return "a single seed"
        if not beyond:
            return "within the seeds"
        chance = seeds.chance(self.first.count, self.second.count)
        return (
            "beyond the seeds "
            f"(by chance {chance.numerator} in {chance.denominator})"
        )


@dataclasses.dataclass(frozen=True)
class Difference:
    """Describes how two experiments on one data set differ.

    An area is the mean accuracy over the multiply-adds that both cover. If one
    of them is a model with a single exit, that is the accuracy at its cost.

    Attributes:
        first: Experiment that the other is compared with.
        second: The other experiment.
        low: Start of the range of multiply-adds that both cover.
        high: End of that range; below `low` if there is no such range.
        gains: Gains by curve; without those that one of the two lacks, and
            empty if there is no range.
    """

    first: RunGroup
    second: RunGroup
    low: float
    high: float
    gains: Mapping[str, Gain]


def differences(experiments: Sequence[RunGroup]) -> list[Difference]:
    """Compares the first experiment of each data set with the others of it.

    Other pairs are compared only if both have several seeds.
    """
    pairs = []
    for dataset in dict.fromkeys(each.dataset for each in experiments):
        members = [each for each in experiments if each.dataset == dataset]
        pairs += [
            pair
            for pair in itertools.combinations(members, 2)
            if pair[0] is members[0] or min(len(each.runs) for each in pair) > 1
        ]
    return [_difference(*pair) for pair in pairs]


def rows(experiments: Sequence[RunGroup]) -> list[dict[str, Any]]:
    """Returns the rows of comparison.csv, of the columns `COLUMNS`.

    There is a row per point of each curve, where the measure is "anytime" or
    "budgeted_batch" and mean, min and max are over the accuracies of the seeds;
    a row per area, "anytime_area" or "budgeted_batch_area", each over the
    whole range of that experiment's own costs; and, of an int8 model that was
    timed, a row per exit, "milliseconds", and one of the bundle's policy,
    "routed_milliseconds".
    """
    found = []
    for each in experiments:
        facts = {
            "experiment": each.label,
            "dataset": each.dataset,
            "model": each.family,
            "epochs": each.epochs,
        }
        for curve in each.runs[0].test:
            measured = _points(each, curve)
            area = seeds.over([run.areas[curve] for run in each.runs])
            measured.append({"measure": f"{curve}_area", **_over(area)})
            found += [facts | row for row in measured]
        found += [facts | row for row in _times(each)]
    return found


def _difference(first: RunGroup, second: RunGroup) -> Difference:
    pair = (first, second)
    low = max(each.madds[0] for each in pair)
    high = min(each.madds[-1] for each in pair)
    gains = {}
    for curve in CURVES if low <= high else ():
        areas = [_area(each, curve, low, high) for each in pair]
        if all(areas):
            gains[curve] = Gain(*areas)
    return Difference(first, second, low, high, gains)


def _area(
    experiment: RunGroup, curve: str, low: float, high: float
) -> OverSeeds | None:
    # A model with one exit is the same point whichever the curve.
    curve = "anytime" if experiment.is_static else curve
    if curve not in experiment.runs[0].test:
        return None
    return seeds.over([run.area(curve, low, high) for run in experiment.runs])


def _points(experiment: RunGroup, curve: str) -> list[dict[str, Any]]:
    curves = [run.test[curve] for run in experiment.runs]
    return [
        {
            "measure": curve,
            "point": i,
            "target": target,
            "madds": seeds.over([each.costs[i] for each in curves]).mean,
            **_over(seeds.over([each.accuracies[i] for each in curves])),
        }
        for i, target in enumerate(curves[0].targets)
    ]


def _times(experiment: RunGroup) -> list[dict[str, Any]]:
    if not experiment.is_timed:
        return []
    runs = [run.timed for run in experiment.runs]
    found = [
        {
            "measure": "milliseconds",
            "point": k,
            "madds": madds,
            **_over(seeds.over([each.milliseconds[k] for each in runs])),
        }
        for k, madds in enumerate(experiment.madds)
    ]
    routed = seeds.over([each.means.routed for each in runs])
    return [*found, {"measure": "routed_milliseconds", **_over(routed)}]


def _over(found: OverSeeds) -> dict[str, Any]:
    return {
        "mean": found.mean,
        "min": found.lowest,
        "max": found.highest,
        "seeds": found.count,
    }
