import json

import numpy as np
import pytest

from keras_dynamic import exits
from keras_dynamic.exits.curves.curve import Curve, area, closed
from keras_dynamic.exits.curves.ranking import ranking
from pipeline.results import assessment
from pipeline.results.predictions import Predictions
from tests.support import finished_run

MADDS = [100, 250, 600]
CALIBRATION, TEST = finished_run.predictions(0), finished_run.predictions(1)


@pytest.fixture(scope="module")
def found():
    return assessment.assess("float", MADDS, CALIBRATION, TEST)


def test_every_exit_against_the_functions_of_one(found):
    for row, fitted, logits, accuracy in zip(
        found["exits"],
        CALIBRATION.logits,
        TEST.logits,
        TEST.accuracies(),
        strict=True,
    ):
        assert row["accuracy"]["float"] == accuracy
        fit = exits.fit_temperature(fitted, CALIBRATION.labels)
        assert row["temperature"] == {"float": fit.temperature}
        assert row["temperature_status"] == {"float": "converged"}
        assert row["nll_before"]["float"] == fit.nll_before
        assert row["nll_after"]["float"] < row["nll_before"]["float"]
        ranked = ranking(
            exits.max_probability(logits), logits.argmax(-1) == TEST.labels
        )
        assert row["auroc"] == {"float": ranked.auroc}
        assert row["aurc"] == {"float": ranked.aurc}
        assert row["excess_aurc"] == {"float": ranked.excess_aurc}
    assert [
        row["calibration_accuracy"]["float"] for row in found["exits"]
    ] == CALIBRATION.accuracies()


def test_kinds_of_the_model_are_told_apart(found):
    other = assessment.assess("int8", MADDS, CALIBRATION, TEST)
    assert other["curves"] == {"int8": found["curves"]["float"]}
    for row, same in zip(other["exits"], found["exits"], strict=True):
        assert row == {name: {"int8": v["float"]} for name, v in same.items()}


def test_the_anytime_curve_is_the_exits(found):
    curve = found["curves"]["float"]["anytime"]
    assert [point["target"] for point in curve["points"]] == [0, 1, 2]
    assert [point["madds"] for point in curve["points"]] == MADDS
    for row, point in zip(found["exits"], curve["points"], strict=True):
        assert point["accuracy"] == row["accuracy"]["float"]
        assert (
            point["calibration_accuracy"]
            == (row["calibration_accuracy"]["float"])
        )
    shallow, middle, deep = (point["accuracy"] for point in curve["points"])
    assert curve["area"] == pytest.approx(
        (150 * (shallow + middle) / 2 + 350 * (middle + deep) / 2) / 500
    )


def test_the_budgeted_curve_is_that_of_the_papers(found):
    curve = found["curves"]["float"]["budgeted_batch"]
    assert len(curve["points"]) == 39
    for i in (0, 10, 38):
        point = curve["points"][i]
        assert point["target"] == pytest.approx((i + 1) / 20)
        images = exits.calibrate(
            CALIBRATION.logits, CALIBRATION.labels, MADDS, (1.0,) * 3
        )
        policy = exits.budgeted_batch(images, q=point["target"]).policy
        for prefix, said in (("", TEST), ("calibration_", CALIBRATION)):
            expected = exits.outcome(
                policy.route(said.logits), said.logits, said.labels, MADDS
            )
            assert point[f"{prefix}accuracy"] == expected.accuracy
            assert point[f"{prefix}madds"] == pytest.approx(expected.mean_cost)
    # Between all images at the first exit and all at the last.
    assert curve["area"] > found["curves"]["float"]["anytime"]["area"]


def test_one_exit_has_no_budgeted_curve():
    said = [finished_run.predictions(seed, exits=1) for seed in range(2)]
    metrics = assessment.assess("float", [100], *said)
    assert list(metrics["curves"]["float"]) == ["anytime"]
    (point,) = metrics["curves"]["float"]["anytime"]["points"]
    assert point["accuracy"] == metrics["curves"]["float"]["anytime"]["area"]


def test_without_calibration_images():
    metrics = assessment.assess("float", MADDS, None, TEST)
    assert list(metrics["curves"]["float"]) == ["anytime"]
    assert "temperature" not in metrics["exits"][0]
    point = metrics["curves"]["float"]["anytime"]["points"][0]
    assert set(point) == {"target", "madds", "accuracy"}


def test_all_right_is_json():
    labels = np.arange(8, dtype=np.int32) % 4
    said = Predictions(labels, np.stack([np.eye(4)[labels]] * 3))
    metrics = assessment.assess("float", MADDS, said, said)
    json.dumps(metrics, allow_nan=False)
    assert metrics["exits"][0]["auroc"] == {"float": None}
    assert metrics["exits"][0]["aurc"] == {"float": 0.0}


def test_the_area_is_that_of_the_closed_curve(found):
    points = found["curves"]["float"]["budgeted_batch"]["points"]
    swept, each = (
        Curve(
            *(
                tuple(point[name] for point in curve)
                for name in ("target", "madds", "accuracy")
            )
        )
        for curve in (points, found["curves"]["float"]["anytime"]["points"])
    )
    assert found["curves"]["float"]["budgeted_batch"]["area"] == (
        area(closed(swept, each), MADDS[0], MADDS[-1])
    )
