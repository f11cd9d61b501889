import copy
import dataclasses
import json
import os
import shutil
import time

from pipeline.pages import report
from pipeline.results import (
    origin,
    stage_results,
)
from pipeline.results.identity import identity
from tests.support import benchmark_times, report_inputs
from tests.support.html_page import Page
from tests.support.report_inputs import POLICY
from tflite import bundle


def test_what_was_measured_side_by_side(layout, config):
    benchmark_times.write(
        layout, "chain", "routed", "unsplit", "static", "float"
    )
    page = Page(report.report(config, layout).read_text())
    rows = page.named["benchmark-1"][2:]
    assert [row[0].split()[0] for row in rows] == list(benchmark_times.ALL[:5])
    assert rows[1][1].startswith("50.00 %")
    assert rows[1][2] == "2.000"
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


def test_times_of_another_policy_are_not_shown(layout, config):
    measured = copy.deepcopy(report_inputs.METRICS)
    times = {
        "exits": [
            {"latency_ms": row.pop("latency_ms")} for row in measured["exits"]
        ],
        "routed_latency_ms": measured.pop("routed_latency_ms"),
        "unsplit_latency_ms": measured.pop("unsplit_latency_ms"),
        "chain": {"overhead": measured["chain"].pop("overhead")},
    }
    chain = {"chain": measured.pop("chain")}
    stage_results.keep(layout, "evaluate", measured, {})
    stage_results.keep(layout, "check", chain, identity(layout, "check"))
    made_from = identity(layout, "benchmark")
    stage_results.keep(layout, "benchmark", times, made_from)
    stage_results.publish(layout)
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
    assert "1.07 × unsplit" not in found.text
    assert "accuracy-latency" not in found.figures
    missing = "not measured"
    assert found.named["exits-table"][2][7] == missing
    assert [row[-1] for row in found.named["policies"][1:]] == [missing] * 3


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
