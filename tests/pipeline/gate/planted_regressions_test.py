"""Each planted regression shuts the gate, and is named."""

import dataclasses
import json
import pathlib
import shutil
import tempfile

import numpy as np
import pytest

from keras_dynamic import exits
from pipeline.data import manifest
from pipeline.gate import check
from pipeline.gate.judge import Request
from pipeline.results import own_files, predictions
from pipeline.results.layout import Layout
from pipeline.results.predictions import Predictions
from pipeline.storage import publishing
from tests.support import planted_damage
from tflite import bundle

pytestmark = pytest.mark.slow


def model(layout: Layout) -> bytes:
    return layout.tflite_model.read_bytes()


def test_unchanged_it_is_open(agreed, capsys):
    layout, reference = agreed
    check.check(planted_damage.settings(), layout, Request(reference))
    assert "check passed: 22 metrics on 600" in capsys.readouterr().out


def test_a_reference_merged_by_hand_decides_nothing(agreed, copied, tmp_path):
    _, reference = agreed
    planted_damage.ship(
        copied, planted_damage.coarsened(model(copied), "deep", 100)
    )
    damaged = tmp_path / "damaged.json"
    check.check(
        planted_damage.settings(), copied, Request(damaged, update=True)
    )
    good, bad = (json.loads(each.read_text()) for each in (reference, damaged))
    name = "exit_1.int8_accuracy"
    lost = good["metrics"][name]["value"] - bad["metrics"][name]["value"]
    assert lost > 0.03
    good["right"] = bad["right"]
    merged = tmp_path / "merged.json"
    merged.write_text(json.dumps(good))
    with pytest.raises(ValueError, match=rf"`metrics\.{name}\.value`") as e:
        check.check(planted_damage.settings(), copied, Request(merged))
    assert not isinstance(e.value, check.CheckFailed)
    assert str(merged) in str(e.value)


def test_a_number_that_is_not_finite(copied, tmp_path):
    said = predictions.load(copied.float_predictions, "test")
    logits = said.logits.copy()
    logits[0, 0, 0] = np.nan
    broken = Predictions(said.labels, logits)
    predictions.save(copied.float_predictions, test=broken)
    request = Request(tmp_path / "new.json", True, tmp_path / "out")
    with pytest.raises(check.ReferenceMissed):
        check.check(planted_damage.settings(), copied, request)
    # It would hide all that comes after it.
    assert not request.reference.exists()
    found = json.loads((tmp_path / "out" / "gate.json").read_text())
    limits = [f for f in found["findings"] if f["status"] == "limit"]
    assert limits[-1]["text"] == (
        "exit_0.logit_error is nan, which is no finite number"
    )


def test_coarsened_weights(copied, shut):
    planted_damage.ship(
        copied, planted_damage.coarsened(model(copied), "deep", 100)
    )
    said = shut()
    assert said["failed"]["exit_1.int8_accuracy"] == "regression"
    assert said["failed"]["exit_1.agreement"] == "regression"
    assert said["failed"]["exit_1.logit_error"] == "regression"
    # The first exit does not read that layer.
    assert not any(name.startswith("exit_0") for name in said["failed"])
    [line] = [each for each in said["where"] if "rank 1" in each]
    assert line.startswith("layer deep_relu (rank 1): own error ")


def test_coarsened_weights_that_cost_no_accuracy(copied, shut):
    planted_damage.ship(
        copied, planted_damage.coarsened(model(copied), "deep", 20)
    )
    said = shut()
    assert said["failed"] == {"exit_1.logit_error": "regression"}
    assert said["where"][0].startswith("layer deep_relu (rank 1): own error ")
    # The whole graph can be read off.
    layers = [each["layer"] for each in said["layers"]]
    assert layers[:4] == ["image", "stem_relu", "middle_relu", "deep_relu"]


def test_coarsened_weights_beside_the_model_before(agreed, copied, shut):
    planted_damage.ship(
        copied, planted_damage.coarsened(model(copied), "deep", 100)
    )
    said = shut(reference_model=agreed[0].tflite_model)
    line = said["where"][0]
    assert "deep" in line
    assert "constants of CONV_2D differ by" in line


def test_a_wrong_zero_point(copied, shut):
    planted_damage.ship(
        copied, planted_damage.off_zero_point(model(copied), "stem", 100)
    )
    said = shut()
    assert said["failed"]["exit_0.int8_accuracy"] == "regression"
    assert said["failed"]["exit_1.int8_accuracy"] == "regression"
    [line] = [each for each in said["where"] if "rank 1" in each]
    assert line.startswith("layer stem_relu (rank 1): own error ")


def test_a_layer_left_in_float(copied, shut):
    planted_damage.ship(
        copied, planted_damage.left_in_float(model(copied), "middle")
    )
    said = shut()
    assert said["failed"]["limits"] == "limit"
    assert said["failed"]["operators.float"] == "regression"
    assert said["failed"]["operators.int8"] == "changed"
    # It is no less accurate.
    assert not any("accuracy" in name for name in said["failed"])
    limits = [
        each["text"] for each in said["findings"] if each["status"] == "limit"
    ]
    assert any(
        each.startswith("CONV_2D giving") and "middle_relu" in each
        for each in limits
    )


def test_exchanged_logits(copied, shut):
    planted_damage.ship(
        copied, planted_damage.exchanged_classes(model(copied), "exit_1", 3, 5)
    )
    said = shut()
    assert said["failed"]["exit_1.int8_accuracy"] == "regression"
    [line] = [each for each in said["where"] if "swapped labels?" in each]
    assert line.startswith("int8 model, exit 1: ")
    assert "of class 3 (3) are taken for 5 (5)" in line
    assert any(
        each.startswith("layer exit_1 (rank 1)") for each in said["where"]
    )


def test_labels_swapped_in_the_data(copied, shut):
    members = planted_damage.digits()
    images, labels = members["test"]
    swapped = labels.copy()
    swapped[labels == 3], swapped[labels == 5] = 5, 3
    planted_damage.prepare(copied, {**members, "test": (images, swapped)})
    said = shut()
    assert said["failed"]["exit_0.float_accuracy"] == "regression"
    # The models still say the same.
    assert not any("agreement" in name for name in said["failed"])
    kinds = [
        each.split()[0] for each in said["where"] if "swapped labels?" in each
    ]
    assert kinds == ["float", "int8", "qat"]
    assert any("no layer of the int8 model" in each for each in said["where"])


def test_label_names_swapped(copied, shut):
    path = copied.data / manifest.FILE
    facts = json.loads(path.read_text())
    labels = facts["labels"]
    labels[3], labels[5] = labels[5], labels[3]
    path.write_text(json.dumps(facts))
    planted_damage.ship(copied, model(copied))
    said = shut()
    assert said["failed"] == {"labels": "changed"}
    [text] = [each["text"] for each in said["findings"] if each["text"]]
    assert text.startswith("label 3 is '5', '3' in the reference; label 5 is")


def test_a_mis_set_threshold(copied, shut):
    opened = bundle.read(str(copied.bundle))
    before, *others = opened.policy.thresholds
    wrong = dataclasses.replace(opened.policy, thresholds=(1.0, *others))
    with publishing.published(copied.bundle, own_files.BUNDLE) as stage:
        bundle.rewrite(opened, str(stage), policy=wrong, operating_points={})
    said = shut()
    assert said["failed"] == {
        "limits": "limit",
        "policy_default.mean_madds": "regression",
    }
    assert (
        f"policy default, exit 0: threshold 1 instead of {before:.4g}"
        in said["where"]
    )


def test_another_archive_than_the_directory(copied, shut):
    """What ships is not what was run, though each is sound by itself."""
    opened = bundle.read(str(copied.bundle))
    with tempfile.TemporaryDirectory() as directory:
        other = exits.last_exit(opened.policy.temperatures)
        bundle.rewrite(opened, directory, policy=other, operating_points={})
        shutil.copy(f"{directory}/bundle.zip", copied.bundle / "bundle.zip")
    with pytest.raises(check.CheckFailed, match=r"another manifest\.json"):
        check.check(planted_damage.settings(), copied)
    (copied.bundle / "bundle.zip").unlink()
    with pytest.raises(check.CheckFailed, match="sound archive"):
        check.check(planted_damage.settings(), copied)
    said = shut()
    assert set(said["failed"]) == {"limits", "bundle.bytes"}


def test_exchanged_labels_of_the_bundle(copied):
    path = copied.bundle / "labels.txt"
    path.write_text(path.read_text().replace("3", "x"))
    with pytest.raises(bundle.InvalidBundle, match=r"labels\.txt"):
        check.check(planted_damage.settings(), copied)


def test_what_no_manifest_names_is_told(copied, caplog):
    (copied.bundle / "exit_9.tflite").write_bytes(b"x")
    check.check(planted_damage.settings(), copied)
    assert "exit_9.tflite is in the bundle" in caplog.text


def test_a_segment_of_another_model(copied, shut):
    broken = planted_damage.coarsened(model(copied), "deep", 100)
    whole = model(copied)
    planted_damage.ship(copied, broken)
    copied.tflite_model.write_bytes(whole)
    said = shut()
    assert said["failed"]["chain.mismatches"] == "regression"
    assert any(
        each.startswith("exit_1.tflite is not what the model is cut into: ")
        and "CONV_2D" in each
        for each in said["where"]
    )


def test_other_test_images_are_an_error(agreed, copied):
    members = planted_damage.digits()
    members["test"] = tuple(each[:500] for each in members["test"])
    planted_damage.prepare(copied, members)
    with pytest.raises(ValueError, match=r"again\. Received: 600 images"):
        check.check(planted_damage.settings(), copied, Request(agreed[1]))


def test_an_update_keeps_what_people_wrote(agreed, copied, tmp_path):
    reference = tmp_path / "reference.json"
    facts = json.loads(agreed[1].read_text())
    facts["metrics"]["exit_1.int8_accuracy"]["tolerance"] = 0.0123
    facts["metrics"]["exit_1.agreement"]["xfail"] = "the head is too narrow"
    hoped = facts["metrics"]["exit_1.agreement"]["value"]
    facts["level"] = 0.01
    reference.write_text(json.dumps(facts))
    settings = planted_damage.settings()

    # An expected failure that does not happen is one.
    with pytest.raises(check.ReferenceMissed):
        check.check(settings, copied, Request(reference))
    planted_damage.ship(
        copied, planted_damage.coarsened(model(copied), "deep", 100)
    )
    check.check(settings, copied, Request(reference, update=True))
    after = json.loads(reference.read_text())
    assert after["level"] == 0.01
    assert after["metrics"]["exit_1.int8_accuracy"]["tolerance"] == 0.0123
    agreement = after["metrics"]["exit_1.agreement"]
    assert agreement["xfail"] == "the head is too narrow"
    assert agreement["value"] == hoped
    # What was updated passes; what is expected to fail does.
    check.check(settings, copied, Request(reference))


def test_a_broken_limit_is_not_agreed_to(agreed, copied, tmp_path):
    reference = tmp_path / "reference.json"
    settings = planted_damage.settings()
    settings.check.max_points, settings.check.level = -101.0, 1.0
    with pytest.raises(check.ReferenceMissed):
        check.check(settings, copied, Request(reference, update=True))
    assert not pathlib.Path(reference).exists()


def test_without_a_reference_it_is_as_it_was(agreed):
    layout, _ = agreed
    check.check(planted_damage.settings(), layout)
    settings = planted_damage.settings()
    settings.check.max_points, settings.check.level = -101.0, 1.0
    with pytest.raises(check.CheckFailed, match="exit 0 lost") as caught:
        check.check(settings, layout)
    assert not hasattr(caught.value, "exit_code")


def test_a_loss_that_chance_explains_is_none(agreed, caplog):
    layout, _ = agreed
    settings = planted_damage.settings()
    settings.check.max_points = -101.0
    check.check(settings, layout)
    assert "exit 0 lost" in caplog.text and "not counted" in caplog.text


def test_a_loss_that_it_does_not_explain_needs_no_reference(agreed, copied):
    settings = planted_damage.settings()
    settings.check.max_points = 1.0
    planted_damage.ship(
        copied, planted_damage.coarsened(model(copied), "deep", 100)
    )
    with pytest.raises(check.CheckFailed, match="exit 1 lost"):
        check.check(settings, copied)
