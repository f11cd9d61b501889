"""Makes the lines of a figure that compares curves, however it is drawn."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from keras_dynamic.exits.curves.curve import Curve, envelope
from pipeline.experiments import seeds
from pipeline.experiments.gather import CURVES, RunGroup
from pipeline.experiments.published import Published

TITLES = {
    "anytime": "Anytime: every image stops at the same exit",
    "budgeted_batch": "Budgeted batch: an image stops when it is sure",
    "milliseconds": "Time of the int8 model: each exit, and its policy (star)",
}
AXES = dict.fromkeys(CURVES, "mean multiply-adds per image") | {
    "milliseconds": "mean milliseconds per image"
}

# Legible on white and on black.
_COLORS = (
    "#2f7de1",
    "#d9730d",
    "#129a74",
    "#b04fc4",
    "#c43c5a",
    "#8a7f12",
    "#1c9dc1",
    "#7a5c3e",
)
_GREY = "#9299a3"
_PALE = "#c0c6ce"
_DASHES = ((7, 4), (2, 3), (10, 3, 2, 3), (16, 4))
_STATIC = (3, 2)
# Of experiments, when the colours have been through once, twice, ...
_AGAIN = ((), (9, 3), (5, 2), (9, 2, 3, 2))
_WIDE = 7


@dataclasses.dataclass(frozen=True)
class Series:
    """Describes one line, which has one name in all panels.

    Attributes:
        name: Name in the legend.
        color: Colour of line and marks, as "#rrggbb".
        dash: Lengths of dashes and gaps in pixels; () is solid.
        mark: "circle", "square", "diamond" or "star" at each point, or "".
        costs: Mean cost of each point, increasing, [P]: multiply-adds, or
            milliseconds in the panel of these.
        accuracies: Accuracy of each point in [0, 1], [P].
        lowest: Lowest of any seed at each point, [P]; () with one seed.
        highest: Highest of any seed at each point, [P]; () with one seed.
        texts: Description of each point, [P].
        width: Width of the line, in pixels.
    """

    name: str
    color: str
    dash: tuple[int, ...]
    mark: str
    costs: tuple[float, ...]
    accuracies: tuple[float, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    texts: tuple[str, ...]
    width: int = 2


# The lines of each panel, by curve.
Panels = dict[str, list[Series]]


def panels(
    experiments: Sequence[RunGroup],
    publications: Iterable[Published] = (),
    *,
    with_best: bool = False,
    connect_static: bool = True,
) -> Panels:
    """Returns the lines of each panel, from the undermost to the topmost.

    Experiments with a single exit are points, the same in every panel. Those of
    one family are connected if they saw the same data set for as many epochs;
    those with gates, whose family is many networks, are connected by name.

    Args:
        experiments: Experiments that were measured.
        publications: Curves that papers printed.
        with_best: Whether to add the best of the experiments at each budget,
            per data set, as papers draw it of several models.
        connect_static: Whether to draw static models of one family as one
            line.
    """
    datasets = list(dict.fromkeys(each.dataset for each in experiments))

    def named(name: str, dataset: str) -> str:
        return f"{name}, {dataset}" if len(datasets) > 1 else name

    found: Panels = {panel: [] for panel in TITLES}
    if with_best:
        for dataset in datasets:
            members = [each for each in experiments if each.dataset == dataset]
            name = named("best of these", dataset)
            found["budgeted_batch"].append(_best(members, name))
    for number, each in enumerate(publications):
        dash = _DASHES[number % len(_DASHES)]
        for curve in CURVES:
            found[curve].append(_published(each, curve, dash))
    lines = _lines(experiments, connect_static).items()
    for number, ((name, dataset), members) in enumerate(lines):
        name = named(name, dataset)
        again, place = divmod(number, len(_COLORS))
        color, dash = _COLORS[place], _AGAIN[again % len(_AGAIN)]
        for curve in CURVES:
            if members[0].is_static:
                found[curve].append(_static(members, name, color))
            elif curve in members[0].runs[0].test:
                line = _measured(members[0], curve, name, color, dash)
                found[curve].append(line)
        found["milliseconds"] += _timed(members, name, color, dash)
    return {
        curve: [each for each in drawn if each.costs]
        for curve, drawn in found.items()
    }


def legend(panels: Panels) -> list[Series]:
    """Returns one line of each name, to show its colour, dash and mark."""
    lines: dict[str, Series] = {}
    for each in itertools.chain.from_iterable(panels.values()):
        # The first one: the anytime curve has the marks of the exits.
        lines.setdefault(each.name, each)
    return list(lines.values())


def _lines(
    experiments: Sequence[RunGroup], connect_static: bool
) -> dict[tuple[str, str], list[RunGroup]]:
    """Gathers the experiments of each line, by its name and data set."""
    lines: dict[tuple[str, str], list[RunGroup]] = {}
    for each in experiments:
        name = each.label
        if each.is_static and connect_static:
            gated = each.runs[0].gated
            kind = each.settings["name"] if gated else f"static {each.family}"
            name = f"{kind}, {each.epochs} epochs"
        lines.setdefault((name, each.dataset), []).append(each)
    return lines


@dataclasses.dataclass(frozen=True, order=True)
class _Point:
    cost: float
    accuracy: float
    lowest: float
    highest: float
    text: str


def _series(
    name: str,
    points: Iterable[_Point],
    *,
    color: str,
    dash: tuple[int, ...] = (),
    mark: str = "",
    width: int = 2,
) -> Series:
    points = sorted(points)
    spread = any(each.lowest < each.highest for each in points)
    return Series(
        name=name,
        color=color,
        dash=dash,
        mark=mark,
        costs=tuple(each.cost for each in points),
        accuracies=tuple(each.accuracy for each in points),
        lowest=tuple(each.lowest for each in points) if spread else (),
        highest=tuple(each.highest for each in points) if spread else (),
        texts=tuple(each.text for each in points),
        width=width,
    )


def _measured(
    experiment: RunGroup,
    curve: str,
    name: str,
    color: str,
    dash: tuple[int, ...],
) -> Series:
    mark = "circle" if curve == "anytime" else ""
    points = _points(experiment, curve, [run.test for run in experiment.runs])
    return _series(name, points, color=color, dash=dash, mark=mark)


def _static(members: Sequence[RunGroup], name: str, color: str) -> Series:
    points = [
        dataclasses.replace(
            point, text=each.label + point.text.removeprefix("exit 0")
        )
        for each in members
        for point in _points(each, "anytime", [run.test for run in each.runs])
    ]
    return _series(name, points, color=color, dash=_STATIC, mark="square")


def _best(members: Sequence[RunGroup], name: str) -> Series:
    """Picks points that are worth their cost by the calibration split."""
    tested, chosen_by = [], []
    for each in members:
        # A model with one exit is the same point for every q.
        curve = "anytime" if each.is_static else "budgeted_batch"
        if curve in each.runs[0].calibration:
            calibration = [run.calibration for run in each.runs]
            chosen_by += _points(each, curve, calibration)
            tested += [
                dataclasses.replace(
                    point,
                    text=f"{each.label}, {point.text}",
                    lowest=point.accuracy,
                    highest=point.accuracy,
                )
                for point in _points(each, curve, [r.test for r in each.runs])
            ]
    points = []
    if tested:
        by = Curve(
            targets=tuple(range(len(chosen_by))),
            costs=tuple(point.cost for point in chosen_by),
            accuracies=tuple(point.accuracy for point in chosen_by),
        )
        points = [tested[i] for i in envelope(by)]
    return _series(name, points, color=_PALE, width=_WIDE)


def _points(experiment, curve, splits) -> list[_Point]:
    """Returns the mean over seeds of each point of a curve."""
    curves = [split[curve] for split in splits]
    named = "exit" if curve == "anytime" else "q ="
    points = []
    for i, target in enumerate(curves[0].targets):
        madds = seeds.over([each.costs[i] for each in curves]).mean
        accuracy = seeds.over([each.accuracies[i] for each in curves])
        text = f"{named} {target:g}"
        if accuracy.count > 1:
            text += (
                f", mean of {accuracy.count} seeds, "
                f"{100 * accuracy.lowest:.2f} to {100 * accuracy.highest:.2f} %"
            )
        points.append(_over(madds, accuracy, text))
    return points


def _timed(
    members: Sequence[RunGroup], name: str, color: str, dash: tuple[int, ...]
) -> list[Series]:
    """Draws accuracy by milliseconds: the exits, and the policy that ships."""
    timed = [each for each in members if each.is_timed]
    if members[0].is_static:
        points = [
            dataclasses.replace(point, text=each.label)
            for each in timed
            for point in _exit_times(each)
        ]
        line = _series(name, points, color=color, dash=_STATIC, mark="square")
        return [line]
    if not timed:
        return []
    [experiment] = timed
    points = _exit_times(experiment)
    runs = [run.timed for run in experiment.runs]
    routed = _over(
        seeds.over([each.means.routed for each in runs]).mean,
        seeds.over([each.accuracy for each in runs]),
        "the bundle’s policy",
    )
    return [
        _series(name, points, color=color, dash=dash, mark="circle"),
        _series(name, [routed], color=color, mark="star"),
    ]


def _exit_times(experiment: RunGroup) -> list[_Point]:
    runs = [run.timed for run in experiment.runs]
    return [
        _over(
            seeds.over([each.milliseconds[k] for each in runs]).mean,
            seeds.over([each.accuracies[k] for each in runs]),
            f"exit {k}",
        )
        for k in range(len(runs[0].accuracies))
    ]


def _over(cost: float, accuracy: seeds.OverSeeds, text: str) -> _Point:
    return _Point(cost, accuracy.mean, accuracy.lowest, accuracy.highest, text)


def _published(each: Published, curve: str, dash: tuple[int, ...]) -> Series:
    points = [
        _Point(
            point.madds,
            point.accuracy,
            point.accuracy,
            point.accuracy,
            "read by eye" if point.by_eye else "read from a figure",
        )
        for point in each.curves[curve]
    ]
    return _series(each.label, points, color=_GREY, dash=dash, mark="diamond")
