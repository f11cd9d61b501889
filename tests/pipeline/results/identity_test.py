import os
import shutil

import pytest

from keras_dynamic.exits import Policy
from pipeline.results import identity, predictions
from tests.support import report_inputs


@pytest.fixture
def layout(tmp_path):
    return report_inputs.write(tmp_path / "work")


def told(layout) -> dict:
    return identity.identity(layout, "check")


def test_times_and_operating_points_change_nothing(layout):
    before = told(layout)
    assert before.keys() == {"model", "predictions", "policy"}
    os.utime(layout.predictions, (0, 0))
    os.utime(layout.tflite_model, (2e9, 2e9))
    shutil.rmtree(layout.bundle)
    report_inputs.write_bundle(
        layout,
        report_inputs.POLICY,
        operating_points={"fast": report_inputs.POLICY},
    )
    assert told(layout) == before


def test_model_answers_and_policy_do(layout):
    before = told(layout)
    layout.tflite_model.write_bytes(b"another")
    said = predictions.load(layout.predictions, "test")
    predictions.save(layout.predictions, test=said)
    policy = Policy(
        temperatures=(1.0, 1.0, 1.0),
        thresholds=(0.5, 0.5, 0.0),
        enabled=(True, True, True),
    )
    shutil.rmtree(layout.bundle)
    report_inputs.write_bundle(layout, policy)
    after = told(layout)
    assert all(after[name] != before[name] for name in before)


def test_what_is_gone_tells_nothing(layout):
    before = told(layout)
    assert identity.fits(before, identity.facts(layout))
    shutil.rmtree(layout.tflite)
    shutil.rmtree(layout.bundle)
    assert told(layout) == {}
    assert identity.fits(before, identity.facts(layout))
    assert not identity.fits(before, {"policy": "another"})
