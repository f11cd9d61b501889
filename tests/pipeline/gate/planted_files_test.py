"""Files that do not belong together shut the gate, with and without reference.

Each of them is sound by itself.
"""

import dataclasses
import json
import os
import shutil
import tempfile

import numpy as np
import pytest

from pipeline.data import manifest
from pipeline.gate import check
from pipeline.gate.judge import Request
from pipeline.policies import operating_points
from pipeline.results import own_files, predictions, stage_results
from pipeline.results.predictions import Predictions
from pipeline.storage import publishing
from tests.support import planted_damage
from tflite import bundle

pytestmark = pytest.mark.slow


def rewritten(layout, change=None, **fields):
    """Writes the bundle anew, all hashes right."""
    opened = dataclasses.replace(bundle.read(str(layout.bundle)), **fields)
    options = {"policy": opened.policy, "operating_points": {}}
    with publishing.published(layout.bundle, own_files.BUNDLE) as stage:
        bundle.rewrite(opened, str(stage), **options | (change or {}))


def junk_archive(layout):
    path = layout.bundle / "bundle.zip"
    path.write_bytes(os.urandom(path.stat().st_size))


def labels_in_the_archive(layout):
    opened = bundle.read(str(layout.bundle))
    labels = [*opened.labels[::-1]]
    with tempfile.TemporaryDirectory() as directory:
        bundle.rewrite(
            dataclasses.replace(opened, labels=tuple(labels)),
            directory,
            policy=opened.policy,
            operating_points={},
        )
        shutil.copy(f"{directory}/bundle.zip", layout.bundle / "bundle.zip")


def labels_of_the_bundle(layout):
    path = layout.bundle / "labels.txt"
    path.write_text("".join(reversed(path.read_text().splitlines(True))))


def labels_of_the_data(layout):
    path = layout.data / manifest.FILE
    facts = json.loads(path.read_text())
    facts["labels"].reverse()
    path.write_text(json.dumps(facts))


def all_leave_at_once(layout):
    policy = bundle.read(str(layout.bundle)).policy
    loose = dataclasses.replace(
        policy, thresholds=(0.0, 0.0), enabled=(True, True)
    )
    rewritten(layout, {"policy": loose})


def a_strict_point_that_says_otherwise(layout):
    operating_points.fit(layout.bundle, "fast", max_drop=0.05)
    opened = bundle.read(str(layout.bundle))
    point = opened.operating_points["fast"]
    strict = dataclasses.replace(point, thresholds=(1.0, 0.0))
    rewritten(layout, {"operating_points": {"fast": strict}})


def a_cropped_image(layout):
    facts = bundle.read(str(layout.bundle)).input
    fit = dataclasses.replace(facts.fit, stored_size=4 * facts.shape[0])
    rewritten(layout, input=dataclasses.replace(facts, fit=fit))


def damaged_calibration(layout):
    path = layout.bundle / "calibration.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def float_answers(change):
    def plant(layout):
        said = predictions.load(layout.float_predictions, "test")
        found = change(said, layout)
        predictions.save(layout.float_predictions, test=found)

    return plant


def of_the_int8_model(said, layout):
    int8 = predictions.load(layout.predictions, "test")
    return Predictions(said.labels, int8.logits)


def not_finite(said, layout):
    return Predictions(said.labels, np.full_like(said.logits, np.nan))


def of_three_classes(said, layout):
    return Predictions(said.labels, said.logits[..., :3])


def in_reverse_order(said, layout):
    return Predictions(said.labels[::-1], said.logits[:, ::-1])


def with_answers_in_reverse_order(said, layout):
    return Predictions(said.labels, said.logits[:, ::-1])


def of_one_exit(said, layout):
    return Predictions(said.labels, said.logits[:1])


def one_test_image(layout):
    members = planted_damage.digits()
    members["test"] = tuple(each[:1] for each in members["test"])
    planted_damage.prepare(layout, members)
    for path in (layout.float_predictions, layout.qat_predictions):
        said = predictions.load(path, "test")
        few = Predictions(said.labels[:1], said.logits[:, :1])
        predictions.save(path, test=few)
    shutil.rmtree(layout.results)


PLANTED = {
    "junk of the same size as bundle.zip": (junk_archive, "sound archive"),
    "labels in bundle.zip": (labels_in_the_archive, r"another labels\.txt"),
    "labels of the bundle": (labels_of_the_bundle, r"labels\.txt"),
    "labels of the data": (labels_of_the_data, "0 is '9' and '0'"),
    "all leave at exit 0": (all_leave_at_once, "policy"),
    "a strict operating point": (
        a_strict_point_that_says_otherwise,
        "operating point fast gives",
    ),
    "stored size": (a_cropped_image, r"input\.fit"),
    "damaged calibration": (damaged_calibration, r"calibration\.npy"),
    "float logits that are not finite": (
        float_answers(not_finite),
        "no finite numbers",
    ),
    "float logits of the int8 model": (
        float_answers(of_the_int8_model),
        "logits of the int8 model",
    ),
    "three classes": (
        float_answers(of_three_classes),
        "600 images, 2 exits, 10 classes.* Received: 600 images, 2 exits, 3",
    ),
    "one exit": (float_answers(of_one_exit), "Received: 600 images, 1 exits"),
    "reverse order": (float_answers(in_reverse_order), "has other labels"),
    "answers in reverse order": (
        float_answers(with_answers_in_reverse_order),
        "right at its exits, .* says",
    ),
    "one test image": (one_test_image, "1 images, too few"),
}


@pytest.mark.parametrize(("plant", "said"), PLANTED.values(), ids=PLANTED)
def test_plain(copied, plant, said):
    plant(copied)
    with pytest.raises(ValueError, match=said):
        check.check(planted_damage.settings(), copied)


@pytest.mark.parametrize(("plant", "said"), PLANTED.values(), ids=PLANTED)
def test_with_a_reference(agreed, copied, tmp_path, plant, said):
    plant(copied)
    request = Request(agreed[1], output=tmp_path / "out")
    with pytest.raises(ValueError) as caught:
        check.check(planted_damage.settings(), copied, request)
    assert str(caught.value).count("\n") == 0
    if isinstance(caught.value, check.ReferenceMissed):
        findings = json.loads((tmp_path / "out" / "gate.json").read_text())
        assert any(
            each["status"] == "limit" for each in findings["findings"]
        ), findings


def test_what_policy_fits_is_what_it_says(copied):
    operating_points.fit(copied.bundle, "fast", max_drop=0.05)
    operating_points.fit(copied.bundle, max_drop=0.02)
    check.check(planted_damage.settings(), copied)


def test_without_calibration_it_is_said(copied, caplog):
    operating_points.fit(copied.bundle, max_drop=0.02)
    (copied.bundle / "calibration.npy").unlink()
    check.check(planted_damage.settings(), copied)
    assert "cannot be compared: there is no calibration.npy" in caplog.text


def test_routed_numbers_are_those_of_convert(copied):
    found = stage_results.read(copied.converted)
    found.metrics["routed"][0]["accuracy"] -= 0.01
    stage_results.keep(copied, "convert", found.metrics, found.made_from)
    with pytest.raises(check.CheckFailed, match="where `convert` measured"):
        check.check(planted_damage.settings(), copied)


@pytest.mark.parametrize("update", [False, True])
def test_a_reference_of_another_configuration(agreed, copied, update):
    settings = planted_damage.settings()
    settings.name = "another"
    with pytest.raises(ValueError, match=r"`reference`.* 'another'"):
        check.check(settings, copied, Request(agreed[1], update=update))


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\3\4", b"{" * 9999, b"\x93NUMPY\x01\x00", b"\x80\x04."],
)
def test_a_damaged_file_of_predictions_is_one_line(copied, content):
    copied.float_predictions.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        check.check(planted_damage.settings(), copied)
    assert str(copied.float_predictions) in str(caught.value)
    assert "\n" not in str(caught.value)
