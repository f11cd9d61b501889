import dataclasses

import numpy as np
import pytest

from keras_dynamic.exits.curves import curve
from pipeline.experiments import gather, published, series
from tests.support import finished_run


def gathered(*directories):
    return gather.gather([gather.read(each, "float") for each in directories])


def one(lines, name):
    (found,) = [each for each in lines if each.name == name]
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return gathered(
        *(finished_run.write(root / f"a{s}", seed=s) for s in range(3)),
        finished_run.write(
            root / "b",
            "msdnet_cifar10_anytime",
            madds=(15_000_000, 40_000_000, 90_000_000),
            strength=3.0,
        ),
        finished_run.write(
            root / "large", "resnet_cifar10_20", madds=(41_000_000,)
        ),
        finished_run.write(
            root / "small", "resnet_cifar10_8", madds=(12_000_000,)
        ),
    )


def test_the_mean_of_the_seeds_and_their_range(found):
    panels = series.panels(found)
    for name in gather.CURVES:
        line = one(panels[name], "ranet_cifar10_model1")
        tested = [run.test[name] for run in found[0].runs]
        accuracies = np.array([each.accuracies for each in tested])
        costs = np.mean([each.costs for each in tested], axis=0)
        order = np.argsort(costs, kind="stable")
        assert line.costs == pytest.approx(costs[order])
        np.testing.assert_allclose(
            line.accuracies, accuracies.mean(axis=0)[order]
        )
        np.testing.assert_array_equal(
            line.lowest, accuracies.min(axis=0)[order]
        )
        np.testing.assert_array_equal(
            line.highest, accuracies.max(axis=0)[order]
        )
    assert one(panels["anytime"], "ranet_cifar10_model1").mark == "circle"
    assert line.mark == ""
    assert "mean of 3 seeds" in line.texts[0]


def test_one_seed_has_no_range(found):
    line = one(series.panels(found)["anytime"], "msdnet_cifar10_anytime")
    assert line.lowest == line.highest == ()
    assert line.texts == ("exit 0", "exit 1", "exit 2")


def test_networks_with_gates_are_lines_by_their_names(tmp_path):
    names = ("lcnet_cifar10_layers", "lcnet_cifar10_channels")
    found = gathered(
        *(
            finished_run.write(
                tmp_path / f"{name}{cost}",
                name,
                madds=(cost,),
                gated=True,
                overrides={"train.objective_arguments.target": cost / 8e7},
            )
            for name in names
            for cost in (20_000_000, 40_000_000)
        )
    )
    lines = series.panels(found)["anytime"]
    assert [each.name for each in lines] == [f"{n}, 300 epochs" for n in names]
    for each in lines:
        assert each.costs == (20_000_000, 40_000_000)


def test_static_models_are_one_line_in_both_panels(found):
    panels = series.panels(found)
    (line,) = {
        one(panels[name], "static resnet, 300 epochs") for name in gather.CURVES
    }
    assert line.costs == (12_000_000, 41_000_000)
    assert line.texts == ("resnet_cifar10_8", "resnet_cifar10_20")
    assert line.dash
    apart = series.panels(found, connect_static=False)["anytime"]
    assert one(apart, "resnet_cifar10_8").costs == (12_000_000,)


def test_published_lines_are_below_and_grey(found):
    chosen = published.choose(["ranet_cifar10", "msdnet_cifar10"])
    panels = series.panels(found, chosen)
    for name in gather.CURVES:
        lines = panels[name][:2]
        assert [each.name for each in lines] == [each.label for each in chosen]
        assert lines[0].color == lines[1].color
        assert () != lines[0].dash != lines[1].dash != ()
        for line, each in zip(lines, chosen, strict=True):
            points = each.curves[name]
            assert line.costs == tuple(p.madds for p in points)
            assert line.accuracies == tuple(p.accuracy for p in points)
    own = [line.color for line in panels["anytime"][2:]]
    assert len({*own, lines[0].color}) == len(own) + 1


def test_the_best_is_chosen_on_calibration_and_drawn_as_tested(found):
    panels = series.panels(found, with_best=True)
    assert not [s for s in panels["anytime"] if s.name == "best of these"]
    best = panels["budgeted_batch"][0]
    assert best.name == "best of these"

    def points(each, split):
        """Mean cost and accuracy over the seeds, [P, 2]."""
        name = "anytime" if each.is_static else "budgeted_batch"
        found = [getattr(run, split)[name] for run in each.runs]
        pairs = [np.transpose([c.costs, c.accuracies]) for c in found]
        return np.mean(pairs, axis=0)

    by, tested = (
        np.concatenate([points(each, split) for each in found])
        for split in ("calibration", "test")
    )
    kept = curve.envelope(curve.Curve(range(len(by)), *by.T))
    expected = tested[kept]
    np.testing.assert_allclose(
        np.transpose([best.costs, best.accuracies]),
        expected[expected[:, 0].argsort()],
    )
    assert {text.split(",")[0] for text in best.texts} >= {
        "ranet_cifar10_model1",
        "msdnet_cifar10_anytime",
    }


def test_data_sets_are_told_apart(found, tmp_path):
    digits = gathered(finished_run.write(tmp_path, "ranet_digits"))
    panels = series.panels([found[1], *digits], with_best=True)
    assert [each.name for each in panels["budgeted_batch"]] == [
        "best of these, CIFAR-10",
        "best of these, digits",
        "msdnet_cifar10_anytime, CIFAR-10",
        "ranet_digits, digits",
    ]


def test_what_was_not_measured_is_not_drawn(tmp_path):
    found = gathered(finished_run.write(tmp_path, calibration=False))
    panels = series.panels(found, with_best=True)
    assert panels["budgeted_batch"] == []
    assert len(panels["anytime"]) == 1


def test_more_experiments_than_colours(found):
    many = [
        dataclasses.replace(found[1], label=f"number {i}") for i in range(20)
    ]
    lines = series.panels(many)["anytime"]
    assert len(lines) == 20
    # Where colours come again, dashes differ.
    assert len({(line.color, line.dash) for line in lines}) == 20


def test_a_legend_has_each_name_once(found):
    panels = series.panels(found, published.choose(["ranet_cifar10"]))
    names = [each.name for each in series.legend(panels)]
    assert names == [each.name for each in panels["anytime"]]
    marks = {each.name: each.mark for each in series.legend(panels)}
    assert marks["ranet_cifar10_model1"] == "circle"
    only = {"anytime": [], "budgeted_batch": panels["budgeted_batch"]}
    assert [each.name for each in series.legend(only)] == names
