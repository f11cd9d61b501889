import dataclasses
import shutil

import numpy as np
import pytest

from keras_dynamic.exits import Policy, outcome
from pipeline.figures import trade_off
from pipeline.pages import report
from pipeline.results import (
    assessment,
    metrics_file,
    predictions,
    wilson,
)
from pipeline.results.layout import Layout
from pipeline.results.overlay import overlay
from tests.support import benchmark_times, finished_run, report_inputs
from tests.support.html_page import Page
from tests.support.report_inputs import POLICY, change_metrics


def series(figure):
    return {
        trace["name"]: (
            trace["x"],
            [round(y, 9) for y in trace["y"]],
            trace["hovertext"],
        )
        for trace in figure["data"]
    }


def chance(accuracy):
    """What the page says of an accuracy, as a second line."""
    low, high = wilson.interval(accuracy, 364)
    return f"<br>{100 * low:.1f} to {100 * high:.1f} % (95 %, 364 images)"


def test_accuracy_against_madds(page):
    assert series(page.figures["accuracy-madds"]) == {
        "each exit alone": (
            [876_543, 1_234_567, 2_000_000_000],
            [89.125, 94.0, 98.0],
            [
                f"every image to exit {k}{chance(accuracy)}"
                for k, accuracy in enumerate((0.89125, 0.94, 0.98))
            ],
        ),
        "budgeted_batch": (
            [1_000_000.0, 1_500_000.0],
            [96.0, 98.0],
            [
                "budgeted_batch, target 0.1<br>thresholds 0.75, unused"
                + chance(0.96),
                "budgeted_batch, target 0.7" + chance(0.98),
            ],
        ),
        "unsplit model": (
            [2_000_000_000],
            [98.0],
            ["unsplit model" + chance(0.98)],
        ),
        "the bundle’s policy": (
            [1_111_111.5],
            [97.51],
            ["accuracy_drop, target 0.5" + chance(0.9751)],
        ),
        # The page says where it is.
        trade_off.SETTING: ([], [], []),
    }


def test_all_milliseconds_are_of_whole_calls(page):
    found = series(page.figures["accuracy-latency"])
    segments = np.array([1.1 * 0.0721, 1.1 * 0.1234, 1.1 * 0.3751])
    # What the calls took beyond their segments.
    beyond = 0.2 - segments @ [0.75, 0.0, 0.25]
    assert found["each exit alone"][0] == pytest.approx(segments + beyond)
    assert found["unsplit model"][:2] == ([0.36], [98.0])
    # As it was measured.
    assert found["the bundle’s policy"][0] == [pytest.approx(0.2)]
    assert found["budgeted_batch"][0] == pytest.approx(
        sorted(
            beyond + segments @ shares
            for shares in ([0.5, 0.3, 0.2], [0.9, 0.1, 0.0])
        )
    )
    assert not any("cut out" in name for name in found)


def test_a_single_exit_stands_beside_the_policies(layout, config):
    benchmark_times.write(layout, "chain", "routed", "unsplit", "static")
    page = Page(report.report(config, layout).read_text())
    found = series(page.figures["accuracy-latency"])
    # The shallowest that is as accurate as the bundle's policy.
    assert found["exit 2 alone, cut out"][:2] == ([pytest.approx(4.0)], [98.0])


def assess(metrics):
    """Adds curves, as `evaluate` and `convert` do."""
    said = [finished_run.predictions(seed) for seed in range(2)]
    madds = [row["madds"] for row in metrics["exits"]]
    for kind in ("float", "int8"):
        more = assessment.assess(kind, madds, *said)
        metrics.update(overlay(metrics, more))


def test_curves_of_both_models(layout, config):
    change_metrics(layout, assess)
    page = Page(report.report(config, layout).read_text())
    found = metrics_file.read(layout.metrics)["curves"]
    for figure, curve in (
        ("anytime", "anytime"),
        ("budgeted-batch", "budgeted_batch"),
    ):
        traces = {t["name"]: t for t in page.figures[figure]["data"]}
        assert list(traces) == ["float model", "int8 model"]
        for kind, expected in found.items():
            points = sorted(
                (point["madds"], 100 * point["accuracy"])
                for point in expected[curve]["points"]
            )
            trace = traces[f"{kind} model"]
            shown = zip(trace["x"], trace["y"], strict=True)
            np.testing.assert_allclose(sorted(shown), points)
    assert "trained for 30 epochs" in page.text
    assert "paper" not in page.text.partition("Curves as papers draw them")[2]


def test_published_curves_of_the_same_family_and_data(layout, config):
    settings = config.copy_and_resolve_references()
    settings.name = "ranet_cifar10_mine"
    change_metrics(layout, assess)
    page = Page(report.report(settings, layout).read_text())
    published = "RANet, RANet paper, CIFAR-10 (original images), 300 epochs"
    for figure in ("anytime", "budgeted-batch"):
        names = [trace["name"] for trace in page.figures[figure]["data"]]
        assert names[0].startswith(published)
        assert names[1:] == ["float model", "int8 model"]
    assert "the best of several models at each budget" in page.text


def test_a_model_with_one_exit(layout, config):
    def single(metrics):
        del metrics["exits"][1:], metrics["routed"][1:]
        metrics["routed"][0]["exit_shares"] = [1.0]
        said = [finished_run.predictions(seed, exits=1) for seed in range(2)]
        madds = [row["madds"] for row in metrics["exits"]]
        for kind in ("float", "int8"):
            more = assessment.assess(kind, madds, *said)
            metrics.update(overlay(metrics, more))

    change_metrics(layout, single)
    said = predictions.load(layout.predictions, "test")
    said = predictions.Predictions(said.labels, said.logits[:1])
    predictions.save(layout.predictions, test=said)
    shutil.rmtree(layout.bundle)
    report_inputs.write_bundle(
        layout, Policy(temperatures=(1.0,), thresholds=(0.0,), enabled=(True,))
    )
    page = Page(report.report(config, layout).read_text())
    for figure in ("anytime", "budgeted-batch"):
        traces = page.figures[figure]["data"]
        assert [each["name"] for each in traces] == [
            "float model",
            "int8 model",
        ]
        assert [each["x"] for each in traces] == [[876_543]] * 2


def test_operating_points_of_the_bundle_are_policies(layout, config):
    point = dataclasses.replace(POLICY, thresholds=(0.3, 1.0, 0.0))
    shutil.rmtree(layout.bundle)
    report_inputs.write_bundle(layout, POLICY, operating_points={"fast": point})
    page = Page(report.report(config, layout).read_text())
    said = predictions.load(layout.predictions, "test")
    madds = [row["madds"] for row in report_inputs.METRICS["exits"]]
    got = outcome(point.route(said.logits), said.logits, said.labels, madds)
    [row] = [row for row in page.named["policies"] if "fast" in row[0]]
    assert row[0] == "operating point fast"
    assert row[2].startswith(f"{100 * got.accuracy:.2f} %")
    trace = series(page.figures["accuracy-madds"])["operating point fast"]
    assert trace[0] == [got.mean_cost]


def test_other_working_directories_are_drawn_beside_it(
    layout, config, tmp_path
):
    others = [report_inputs.write(tmp_path / name).root for name in ("a", "b")]

    def static(metrics):
        del metrics["exits"][1:], metrics["routed"][1:]
        metrics["routed"][0]["exit_shares"] = [1.0]
        metrics["config"] = "resnet_small"

    change_metrics(Layout(others[1]), static)
    page = Page(report.report(config, layout, others).read_text())
    found = series(page.figures["accuracy-madds"])
    own = report_inputs.METRICS["routed"]
    assert found["ranet_digits in a"][:2] == (
        [own[2]["mean_madds"], own[1]["mean_madds"]],
        [96.0, 98.0],
    )
    assert found["the bundle’s policy, ranet_digits in a"][0] == [
        own[0]["mean_madds"]
    ]
    assert found["static: resnet_small"][:2] == ([876_543], [89.125])
    assert "Drawn beside it: ranet_digits in a, resnet_small." in page.text
