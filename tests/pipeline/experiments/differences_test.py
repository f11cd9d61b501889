import numpy as np
import pytest

from keras_dynamic.exits.curves.curve import closed
from pipeline.experiments import differences, gather
from tests.support import finished_run


def gathered(*directories):
    return gather.gather([gather.read(each, "float") for each in directories])


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Two experiments of three seeds, a deeper one, and a static model."""
    root = tmp_path_factory.mktemp("runs")
    better = {"train.objective": "boosted"}
    return gathered(
        *(finished_run.write(root / f"a{s}", seed=s) for s in range(3)),
        *(
            finished_run.write(
                root / f"b{s}", seed=s + 10, strength=3.0, overrides=better
            )
            for s in range(3)
        ),
        finished_run.write(
            root / "deep",
            "msdnet_cifar10_anytime",
            madds=(15_000_000, 40_000_000, 90_000_000),
        ),
        finished_run.write(
            root / "static", "resnet_cifar10_20", madds=(30_000_000,)
        ),
    )


def test_the_first_with_all_others(found):
    pairs = [
        (each.first, each.second) for each in differences.differences(found)
    ]
    assert pairs == [(found[0], other) for other in found[1:]]


def test_pairs_of_several_seeds_and_of_one_data_set(tmp_path):
    other = {"train.epochs": 3}
    found = gathered(
        finished_run.write(tmp_path / "first", "msdnet_cifar10_anytime"),
        *(finished_run.write(tmp_path / f"a{s}", seed=s) for s in range(2)),
        *(
            finished_run.write(tmp_path / f"b{s}", seed=s, overrides=other)
            for s in range(2)
        ),
        finished_run.write(tmp_path / "digits", "ranet_digits"),
    )
    pairs = [
        (found.index(each.first), found.index(each.second))
        for each in differences.differences(found)
    ]
    assert pairs == [(0, 1), (0, 2), (1, 2)]


def test_areas_over_the_range_that_both_cover(found):
    _, deep, _ = differences.differences(found)
    assert (deep.low, deep.high) == (15_000_000, 50_000_000)
    for name in gather.CURVES:
        expected = [run.area(name, 15e6, 50e6) for run in found[0].runs]
        assert deep.gains[name].first.mean == pytest.approx(np.mean(expected))
        assert deep.gains[name].first.lowest == min(expected)
        (run,) = found[2].runs
        assert deep.gains[name].second.mean == run.area(name, 15e6, 50e6)


def test_a_static_model_is_compared_at_its_cost(found):
    *_, static = differences.differences(found)
    assert static.low == static.high == 30_000_000
    (accuracy,) = found[3].runs[0].test["anytime"].accuracies
    for name, gain in static.gains.items():
        at = [
            np.interp(
                3e7,
                *(
                    (curve.costs, curve.accuracies)
                    if name == "anytime"
                    else _sorted(closed(curve, run.test["anytime"]))
                ),
            )
            for run in found[0].runs
            for curve in [run.test[name]]
        ]
        assert gain.mean == pytest.approx(accuracy - np.mean(at))
        assert gain.verdict == "a single seed"


def _sorted(curve):
    order = np.argsort(curve.costs)
    return np.array(curve.costs)[order], np.array(curve.accuracies)[order]


def test_verdicts(found, tmp_path):
    better, *_ = differences.differences(found)
    for gain in better.gains.values():
        assert gain.mean > 0
        assert gain.verdict == "beyond the seeds (by chance 1 in 10)"
    same = gathered(
        *(finished_run.write(tmp_path / f"a{s}", seed=s) for s in (0, 2)),
        *(
            finished_run.write(
                tmp_path / f"b{s}", seed=s, overrides={"train.epochs": 3}
            )
            for s in (1, 3)
        ),
    )
    (difference,) = differences.differences(same)
    ranges = [[run.areas["anytime"] for run in each.runs] for each in same]
    assert min(ranges[0]) < max(ranges[1])
    assert min(ranges[1]) < max(ranges[0])
    assert difference.gains["anytime"].verdict == "within the seeds"


def test_no_range_in_common(tmp_path):
    found = gathered(
        finished_run.write(tmp_path / "a"),
        finished_run.write(
            tmp_path / "b", "msdnet_cifar10_anytime", madds=(10**9, 2 * 10**9)
        ),
    )
    (difference,) = differences.differences(found)
    assert difference.low > difference.high
    assert difference.gains == {}


def test_a_curve_that_one_of_them_lacks(tmp_path):
    found = gathered(
        finished_run.write(tmp_path / "a"),
        finished_run.write(
            tmp_path / "b", "msdnet_cifar10_anytime", calibration=False
        ),
    )
    (difference,) = differences.differences(found)
    assert list(difference.gains) == ["anytime"]


def test_the_rows_over_the_seeds(found):
    rows = differences.rows(found)
    assert all(set(row) <= set(differences.COLUMNS) for row in rows)
    own = [row for row in rows if row["experiment"] == found[0].label]
    assert [row["measure"] for row in own] == [
        *["anytime"] * 3,
        "anytime_area",
        *["budgeted_batch"] * 39,
        "budgeted_batch_area",
    ]
    for row in own:
        assert row["min"] <= row["mean"] <= row["max"]
        assert (row["seeds"], row["dataset"]) == (3, "CIFAR-10")
    accuracies = [run.test["anytime"].accuracies[1] for run in found[0].runs]
    assert own[1]["mean"] == pytest.approx(np.mean(accuracies))
    assert (own[1]["min"], own[1]["max"]) == (min(accuracies), max(accuracies))
    areas = [run.areas["budgeted_batch"] for run in found[0].runs]
    assert own[-1]["mean"] == pytest.approx(np.mean(areas))
    static = [row for row in rows if row["model"] == "resnet"]
    assert [row["measure"] for row in static] == ["anytime", "anytime_area"]
