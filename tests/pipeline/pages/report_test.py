import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from keras_dynamic.exits import softmax
from pipeline import stages
from pipeline.data import dataset, manifest
from pipeline.pages import report
from pipeline.results import (
    call_times,
    origin,
    predictions,
)
from tests.support import report_inputs
from tests.support.html_page import Page
from tests.support.report_inputs import CLASSES, POLICY, change_metrics


def test_one_file_that_loads_nothing(source, page, finished):
    assert [path.name for path in finished.report.parent.iterdir()] == [
        "index.html"
    ]
    assert finished.report.stat().st_size < 6_000_000
    assert {address.split(":")[0] for address in page.loaded} == {"data"}
    assert not re.search(r"url\(|@import", source.split("</style>")[0])
    assert source.count("* plotly.js v") == 1


def test_the_exits_are_those_of_the_metrics(page, finished):
    rows = page.named["exits-table"][2:]
    times = call_times.up_to_exits(json.loads(finished.metrics.read_text()))
    expected = [
        ["0", "877 k", "10 k", "90.12 %", "90.03 %", "89.12 %", "−1.00"]
        + [f"{times[0]:.3f}", "75.00 %"],
        ["1", "1.23 M", "123 k", "95.00 %", "94.90 %", "94.00 %", "−1.00"]
        + [f"{times[1]:.3f}", "0.00 %"],
        ["2", "2 G", "1 M", "99.00 %", "98.90 %", "98.00 %", "−1.00"]
        + [f"{times[2]:.3f}", "25.00 %"],
        ["unsplit", "2 G", "1 M", "99.00 %", "98.90 %", "98.00 %", "−1.00"]
        + ["0.360", ""],
    ]
    for row, cells in zip(rows, expected, strict=True):
        for place, (found, cell) in enumerate(zip(row, cells, strict=True)):
            if place in (3, 4, 5):
                # Below the accuracy is what 120 images tell of it.
                share = found.removeprefix(cell).removesuffix(" %")
                low, high = map(float, share.split(" to "))
                assert low < float(cell.removesuffix(" %")) < high
            else:
                assert found == cell


def test_the_policies_are_those_of_the_metrics(page):
    assert [
        [name, target, share[:7], madds, time]
        for name, target, share, madds, time in page.named["policies"][1:]
    ] == [
        ["accuracy_drop (bundle)", "0.5", "97.51 %", "1.11 M", "0.200"],
        ["budgeted_batch", "0.7", "98.00 %", "1.5 M", "0.200"],
        ["budgeted_batch", "0.1", "96.00 %", "1 M", "0.122"],
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
                caption = f"says {CLASSES[predicted]}, is {caption}"
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
        del metrics["routed_latency_ms"]
        for each in metrics["exits"]:
            each["latency_ms"] = None
            each["accuracy"]["qat"] = None
        for each in metrics["routed"]:
            each.update(bundle=False)

    change_metrics(layout, forget)
    page = Page(report.report(config, layout).read_text())
    missing = "not measured"
    row = page.named["exits-table"][2]
    assert [row[4], *row[7:]] == 3 * [missing]
    assert row[6] == "−1.00"
    assert set(page.figures) == {
        "class-balance",
        "image-sides",
        "accuracy-madds",
        "quantization",
    }
    assert "None" not in page.text
    assert "Undefined" not in page.text


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
