import base64
import copy
import dataclasses
import io
import json
import os
import re
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from keras_dynamic.exits import Policy, outcome, softmax
from pipeline import stages
from pipeline.config import load
from pipeline.data import dataset, manifest
from pipeline.figures import trade_off
from pipeline.pages import report
from pipeline.results import (
    assessment,
    metrics_file,
    origin,
    predictions,
    stage_results,
)
from pipeline.results.identity import identity
from pipeline.results.layout import Layout
from pipeline.results.overlay import overlay
from tests.support import benchmark_times, finished_run, report_inputs
from tests.support.html_page import Page
from tests.support.report_inputs import CLASSES, POLICY, change_metrics
from tflite import bundle


@pytest.fixture(scope="module")
def config():
    return load("ranet_digits")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A working directory as the stages before the report leave it."""
    return report_inputs.write(tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture
def layout(finished, tmp_path):
    """A copy to change."""
    ignore = shutil.ignore_patterns("report")
    shutil.copytree(finished.root, tmp_path / "run", ignore=ignore)
    return Layout(tmp_path / "run")


@pytest.fixture(scope="module")
def source(finished, config):
    path = report.report(config, finished)
    assert path == finished.root / "report" / "index.html"
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source):
    return Page(source)


def test_one_file_that_loads_nothing(source, page, finished):
    assert [path.name for path in finished.report.parent.iterdir()] == [
        "index.html"
    ]
    assert finished.report.stat().st_size < 6_000_000
    assert {address.split(":")[0] for address in page.loaded} == {"data"}
    assert not re.search(r"url\(|@import", source.split("</style>")[0])
    assert source.count("* plotly.js v") == 1


def test_the_exits_are_those_of_the_metrics(page):
    assert page.named["exits-table"][2:] == [
        ["0", "877 k", "10 k", "90.12 %", "90.03 %", "89.12 %", "−1.00"]
        + ["0.072", "0.108", "0.144", "75.00 %"],
        ["1", "1.23 M", "123 k", "95.00 %", "94.90 %", "94.00 %", "−1.00"]
        + ["0.123", "0.185", "0.247", "0.00 %"],
        ["2", "2 G", "1 M", "99.00 %", "98.90 %", "98.00 %", "−1.00"]
        + ["0.375", "0.563", "0.750", "25.00 %"],
        ["unsplit", "2 G", "1 M", "99.00 %", "98.90 %", "98.00 %", "−1.00"]
        + ["0.351", "0.400", "0.500", ""],
    ]


def test_the_policies_are_those_of_the_metrics(page):
    assert page.named["policies"][1:] == [
        ["accuracy_drop (bundle)", "0.5", "97.51 %", "1.11 M", "0.099"],
        ["budgeted_batch", "0.7", "98.00 %", "1.5 M", "0.200"],
        ["budgeted_batch", "0.1", "96.00 %", "1 M", "not measured"],
    ]


def test_the_other_facts_are_on_the_page(page):
    for fact in (
        "ranet_digits",
        "ranet & co",
        "12,345",
        "1.07 × unsplit",
        "3.15.<0>",
    ):
        assert fact in page.text


def test_the_images_are_described(page, finished):
    statistics = manifest.read(finished.data)["statistics"]
    assert page.text.count("Prepared from 1,797 images of the source") == 1
    bars = {t["name"]: t for t in page.figures["class-balance"]["data"]}
    assert list(bars) == list(statistics)
    for split, found in statistics.items():
        assert bars[split]["customdata"] == found["classes"]
        assert sum(bars[split]["y"]) == pytest.approx(100)
    for trace in page.figures["image-sides"]["data"]:
        assert trace["x"] == ["1 to 15"]
        assert trace["y"] == [sum(statistics[trace["name"]]["classes"])]
    assert [row[0] for row in page.named["channels"][1:]] == list(statistics)
    mean = statistics["test"]["channel_mean"][0]
    assert page.named["channels"][2][1].strip() == f"{mean:.4f}"


def test_the_same_image_in_two_classes_is_named(layout, config):
    path = layout.data / "manifest.json"
    found = json.loads(path.read_text())
    found["conflicts"] = [["cat/1.jpg", "<b>dog</b>/2.jpg"]]
    found["skipped"] = 12
    path.write_text(json.dumps(found))
    text = Page(report.report(config, layout).read_text()).text
    assert "cat/1.jpg and <b>dog</b>/2.jpg." in text
    assert "12 hidden or system files were skipped" in " ".join(text.split())


def series(figure):
    return {
        trace["name"]: (
            trace["x"],
            [round(y, 9) for y in trace["y"]],
            trace["hovertext"],
        )
        for trace in figure["data"]
    }


def test_accuracy_against_madds(page):
    assert series(page.figures["accuracy-madds"]) == {
        "each exit alone": (
            [876_543, 1_234_567, 2_000_000_000],
            [89.125, 94.0, 98.0],
            [f"every image to exit {k}" for k in range(3)],
        ),
        "budgeted_batch": (
            [1_000_000.0, 1_500_000.0],
            [96.0, 98.0],
            [
                "budgeted_batch, target 0.1<br>thresholds 0.75, unused",
                "budgeted_batch, target 0.7",
            ],
        ),
        "unsplit model": ([2_000_000_000], [98.0], ["unsplit model"]),
        "the bundle's policy": (
            [1_111_111.5],
            [97.51],
            ["accuracy_drop, target 0.5"],
        ),
        # The page says where it is.
        trade_off.SETTING: ([], [], []),
    }


def test_accuracy_against_milliseconds(page):
    found = series(page.figures["accuracy-latency"])
    assert found["each exit alone"][0] == pytest.approx(
        [1.1 * 0.0721, 1.1 * 0.1234, 1.1 * 0.3751]
    )
    assert found["unsplit model"][:2] == ([0.36], [98.0])
    assert found["the bundle's policy"][:2] == ([0.0987], [97.51])
    # The other point of the sweep was not measured.
    assert found["budgeted_batch"][:2] == ([0.2], [98.0])


def test_images_are_those_that_the_policy_stops_there(page, finished):
    images = dataset.load(finished.data, "test")
    said = predictions.load(finished.predictions, "test")
    taken = POLICY.route(said.logits)
    assert set(taken) == {0, 2}
    for k in (0, 2):
        probabilities = softmax(said.logits[k], POLICY.temperatures[k])
        confidence = probabilities.max(-1)
        shown = page.images[f"exit-{k}"]
        indices = [images.keys.index(image["alt"]) for image in shown]
        assert len(set(indices)) == len(indices) > 5
        assert set(taken[indices]) == {k}
        for i, image in zip(indices, shown, strict=True):
            data = base64.b64decode(image["src"].partition("base64,")[2])
            np.testing.assert_array_equal(
                Image.open(io.BytesIO(data)), images.images[i, ..., 0]
            )
            predicted = said.logits[k, i].argmax()
            assert image["wrong"] == (predicted != images.labels[i])
            caption = CLASSES[images.labels[i]]
            if image["wrong"]:
                caption += f", not {CLASSES[predicted]}"
            assert image["caption"].split("\n")[1] == caption
            assert f"{100 * confidence[i]:.1f} %" in image["caption"]
    assert any(image["wrong"] for image in page.images["exit-2"])


def test_an_exit_that_is_not_used_says_so(page):
    assert page.images["exit-1"] == []
    assert "The policy does not use this exit." in page.text


def test_names_are_not_markup(source, page):
    # Python's parser unescapes: what is text here is text in a browser.
    assert "b" not in page.tags
    assert "<b>zero</b>" in page.text
    assert "<b>zero" not in source
    assert "{{ nine }}" in page.text


def test_policy_names_are_not_markup_for_plotly(layout, config):
    def rename(metrics):
        for each in metrics["routed"]:
            each.update(policy="<a href='x'>'</a>", target="<i>")

    change_metrics(layout, rename)
    page = Page(report.report(config, layout).read_text())
    assert "x" not in page.loaded
    traces = page.figures["accuracy-madds"]["data"]
    shown = [t["name"] + "".join(t["hovertext"]) for t in traces]
    assert not any("<" in text.replace("<br>", "") for text in shown)
    assert "&lt;a href='x'&gt;'&lt;/a&gt;, target &lt;i&gt;" in shown[-2]


def test_what_was_not_measured_says_so(layout, config):
    def forget(metrics):
        del metrics["unsplit_latency_ms"], metrics["chain"]
        for each in metrics["exits"]:
            each["latency_ms"] = None
            each["accuracy"]["qat"] = None
        for each in metrics["routed"]:
            each.update(mean_latency_ms=None, bundle=False)

    change_metrics(layout, forget)
    page = Page(report.report(config, layout).read_text())
    missing = "not measured"
    assert page.named["exits-table"][2] == (
        ["0", "877 k", "10 k", "90.12 %", missing, "89.12 %", "−1.00"]
        + 4 * [missing]
    )
    assert set(page.figures) == {
        "class-balance",
        "image-sides",
        "accuracy-madds",
        "quantization",
    }
    assert "None" not in page.text
    assert "Undefined" not in page.text


def test_what_was_measured_side_by_side(layout, config):
    benchmark_times.write(
        layout, "chain", "routed", "unsplit", "static", "float"
    )
    page = Page(report.report(config, layout).read_text())
    rows = page.named["benchmark-1"][2:]
    assert [row[0].partition(":")[0] for row in rows] == list(
        benchmark_times.ALL[:5]
    )
    assert rows[1][1:3] == ["50.00 %", "2.000"]
    assert rows[1][-1] == "20.0"
    assert len(page.named["benchmark-2"]) == len(page.named["benchmark-1"])
    assert "onnx was not measured: not <here>" in page.text
    assert "<made up>, 2" in " ".join(page.text.split())
    # A clock that was wrong, or a copy, says nothing of what was measured.
    later = time.time() + 1e6
    os.utime(layout.predictions, (later, later))
    page = Page(report.report(config, layout).read_text())
    assert "benchmark-1" in page.named
    # Another model has since come in its place, at the same time.
    layout.tflite_model.write_bytes(b"another")
    page = Page(report.report(config, layout).read_text())
    assert "benchmark-1" not in page.named


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
    assert row[2] == f"{100 * got.accuracy:.2f} %"
    trace = series(page.figures["accuracy-madds"])["operating point fast"]
    assert trace[0] == [got.mean_cost]


def test_other_working_directories_are_drawn_beside_it(
    layout, config, tmp_path
):
    others = [report_inputs.write(tmp_path / name).root for name in ("a", "b")]

    def static(metrics):
        del metrics["exits"][1:], metrics["routed"][1:]
        metrics["config"] = "resnet_small"

    change_metrics(Layout(others[1]), static)
    page = Page(report.report(config, layout, others).read_text())
    found = series(page.figures["accuracy-madds"])
    own = report_inputs.METRICS["routed"]
    assert found["ranet_digits in a"][:2] == (
        [own[2]["mean_madds"], own[1]["mean_madds"]],
        [96.0, 98.0],
    )
    assert found["the bundle's policy, ranet_digits in a"][0] == [
        own[0]["mean_madds"]
    ]
    assert found["static: resnet_small"][:2] == ([876_543], [89.125])
    assert "Drawn beside it: ranet_digits in a, resnet_small." in page.text


def test_the_stage_takes_them_and_notes_what_ran(layout, config, tmp_path):
    other = report_inputs.write(tmp_path / "other").root
    arguments = {"report": {"others": [other]}}
    stages.run(
        config, layout, ["report"], arguments=arguments, skip_finished=False
    )
    page = Page(layout.report.read_text())
    assert "Drawn beside it: ranet_digits in other." in page.text
    [mark] = origin.read(layout.stages, ["report"])
    assert mark["stage"] == "report"
    assert mark["seconds"] > 0
    assert {"command", "processor", "finished", "fingerprint"} <= set(mark)


def test_times_of_another_policy_are_not_shown(layout, config):
    measured = copy.deepcopy(report_inputs.METRICS)
    times = {
        "exits": [
            {"latency_ms": row.pop("latency_ms")} for row in measured["exits"]
        ],
        "routed": [
            {"mean_latency_ms": row.pop("mean_latency_ms")}
            for row in measured["routed"]
        ],
        "unsplit_latency_ms": measured.pop("unsplit_latency_ms"),
        "chain": {"overhead": measured["chain"].pop("overhead")},
    }
    chain = {"chain": measured.pop("chain")}
    for row in measured["routed"]:
        row["mean_latency_ms"] = None
    stage_results.keep(layout, "evaluate", measured, {})
    stage_results.keep(layout, "check", chain, identity(layout, "check"))
    made_from = identity(layout, "benchmark")
    stage_results.keep(layout, "benchmark", times, made_from)
    found = Page(report.report(config, layout).read_text())
    assert "1.07 × unsplit" in found.text
    # What `convert` does with another policy.
    first = bundle.read(str(layout.bundle))
    shutil.rmtree(layout.bundle)
    other = dataclasses.replace(POLICY, thresholds=(0.7, 1.0, 0.0))
    report_inputs.write_bundle(layout, other)
    assert bundle.read(str(layout.bundle)).policy != first.policy
    stage_results.publish(layout)
    found = Page(report.report(config, layout).read_text())
    assert "× unsplit" not in found.text
    assert "accuracy-latency" not in found.figures
    missing = "not measured"
    assert found.named["exits-table"][2][7:10] == [missing] * 3
    assert [row[-1] for row in found.named["policies"][1:]] == [missing] * 3


def test_another_directory_without_metrics(layout, config, tmp_path):
    with pytest.raises(ValueError, match=r"`others`"):
        report.report(config, layout, [tmp_path / "nothing"])


def test_a_verdict_of_the_gate_is_shown_in_full(layout, config):
    verdict = {
        "made_from": identity(layout, "check"),
        "passed": False,
        "sentence": "check failed: 1 of 9 metrics on 120 test images",
        "findings": [
            {
                "metric": "int8_accuracy.1",
                "status": "regression",
                "text": "too low",
                "reference": 0.95,
                "measured": 0.9,
            },
            {"metric": "limits", "status": "passed", "text": ""},
        ],
        "where": ["layer stem: own error 31.0 %"],
    }
    path = layout.root / "gate" / "gate.json"
    path.parent.mkdir()
    path.write_text(json.dumps(verdict))
    page = Page(report.report(config, layout).read_text())
    assert page.named["findings"][1:] == [
        ["int8_accuracy.1", "regression", "0.95", "0.9"]
    ]
    for text in (verdict["sentence"], *verdict["where"]):
        assert text in page.text
    os.utime(path, (0, 0))
    page = Page(report.report(config, layout).read_text())
    assert "findings" in page.named
    # What it said of another model is not repeated.
    layout.tflite_model.write_bytes(b"another")
    page = Page(report.report(config, layout).read_text())
    assert "findings" not in page.named


def test_what_ran_where(layout, config):
    layout.stages.mkdir()
    train = {"seconds": 12.34, **origin.here("train")}
    (layout.stages / "train.json").write_text(json.dumps(train))
    (layout.stages / "prepare.json").write_text('{"seconds": 5}')
    (layout.stages / "report.json").write_text('{"seconds": 1}')
    page = Page(report.report(config, layout).read_text())
    rows = page.named["origins"][1:]
    assert [row[0] for row in rows] == ["prepare", "train", "report"]
    assert rows[0][1:] == ["not recorded", "5.0"] + 2 * ["not recorded"]
    assert rows[1][1:4] == [train["finished"], "12.3", train["command"]]
    assert train["processor"] in rows[1][4]


@pytest.mark.parametrize(
    ("path", "verb"),
    [
        ("metrics.json", "evaluate"),
        ("tflite/predictions.npz", "convert"),
        ("bundle", "convert"),
        ("data", "prepare"),
    ],
)
def test_a_missing_stage_is_named(layout, config, path, verb):
    (layout.root / path).rename(layout.root / "elsewhere")
    with pytest.raises(
        ValueError, match=rf"{re.escape(path)}, .*`keras-dynamic {verb}`"
    ):
        report.report(config, layout)
    assert not layout.report.parent.exists()


def test_metrics_of_another_version(layout, config):
    change_metrics(layout, lambda metrics: metrics.update(format_version=2))
    with pytest.raises(ValueError, match=r"metrics\.json.*Received: 2"):
        report.report(config, layout)


def test_metrics_of_the_float_model_alone(layout, config):
    change_metrics(layout, lambda metrics: metrics.pop("routed"))
    with pytest.raises(ValueError, match=r"metrics\.json.*`keras-dynamic conv"):
        report.report(config, layout)


def test_metrics_of_another_model(layout, config):
    change_metrics(layout, lambda metrics: metrics["exits"].pop())
    with pytest.raises(ValueError, match="`keras-dynamic convert`"):
        report.report(config, layout)


def test_predictions_of_other_images(layout, config):
    said = predictions.load(layout.predictions, "test")
    said = predictions.Predictions(said.labels[::-1], said.logits)
    predictions.save(layout.predictions, test=said)
    with pytest.raises(ValueError, match="`keras-dynamic convert`"):
        report.report(config, layout)
