import dataclasses
import math

import numpy as np
import pytest

from pipeline.gate import comparison, measured, metric
from pipeline.gate.metric import Metric
from tests.support import measured_gate


def compared(found, reference=None) -> dict:
    """The findings that are not "passed", by metric."""
    findings = comparison.compare(reference or measured_gate.agreeing(), found)
    return {each.metric: each for each in findings if each.status != "passed"}


def expecting(**changes):
    """The reference with some metrics changed, by name."""
    reference = measured_gate.agreeing()
    metrics = dict(reference.metrics)
    for name, values in changes.items():
        metrics[name] = dataclasses.replace(metrics[name], **values)
    return dataclasses.replace(reference, metrics=metrics)


def test_the_same_passes():
    assert compared(measured_gate.measured()) == {}


@pytest.mark.parametrize(
    ("madds", "status"),
    [
        (1020.0, None),
        (980.0, None),
        (1020.1, "regression"),
        (979.9, "improvement"),
    ],
)
def test_tolerances_are_two_sided(madds, status):
    found = compared(measured_gate.measured(madds=metric.cost(madds)))
    assert [each.status for each in found.values()] == [status] * bool(status)


def test_the_larger_tolerance_counts():
    reference = expecting(madds={"tolerance": 100.0})
    found = measured_gate.measured(madds=metric.cost(1100.0))
    assert compared(found, reference) == {}
    found = measured_gate.measured(madds=metric.cost(1100.1))
    assert list(compared(found, reference)) == ["madds"]


def test_a_count_without_a_better_side():
    found = compared(measured_gate.measured(operators=metric.count(8, "")))
    assert found["operators"].status == "changed"
    assert found["operators"].text == (
        "operators 8 is not its reference 7 (allowed: 0)"
    )


def test_a_drop_within_the_tolerance_passes_however_sure():
    # Two images of 400 are just half a point.
    reference = measured_gate.agreeing()
    reference = dataclasses.replace(reference, level=0.9)
    assert (
        compared(measured_gate.measured(measured_gate.answered(358)), reference)
        == {}
    )


def test_a_drop_that_chance_explains_passes():
    # Five lost and none won: p = 1 / 16.
    found = comparison.compare(
        measured_gate.agreeing(),
        measured_gate.measured(measured_gate.answered(355)),
    )
    [accuracy] = [each for each in found if each.metric == "accuracy"]
    assert accuracy.status == "passed"
    assert accuracy.p_value == 2 / 2**5


def test_one_more_image_is_a_drop():
    found = compared(measured_gate.measured(measured_gate.answered(354)))[
        "accuracy"
    ]
    assert found.status == "regression"
    assert found.p_value == 2 / 2**6
    assert found.text == (
        "accuracy 0.8850 is worse than its reference 0.9000 "
        "(allowed: 0.005; by chance: p = 0.031)"
    )
    # Unless the level asks for more.
    strict = dataclasses.replace(measured_gate.agreeing(), level=0.01)
    assert (
        compared(measured_gate.measured(measured_gate.answered(354)), strict)
        == {}
    )


def test_the_pairing_counts_not_the_totals():
    # 20 lost, 14 won: as many images fewer, but it may well be chance.
    right = measured_gate.answered(340)
    right[-14:] = True
    assert compared(measured_gate.measured(right)) == {}


def test_an_improvement_nobody_knows_of_fails():
    found = compared(measured_gate.measured(measured_gate.answered(380)))[
        "accuracy"
    ]
    assert found.status == "improvement"
    assert found.failed


def test_images_in_another_order_are_the_same():
    found = measured_gate.measured(measured_gate.answered(354))
    order = np.random.default_rng(0).permutation(measured_gate.COUNT)
    shuffled = dataclasses.replace(
        found,
        keys=[found.keys[i] for i in order],
        metrics=found.metrics
        | {"accuracy": metric.share(found.metrics["accuracy"].right[order])},
    )
    first, second = compared(found), compared(shuffled)
    assert first["accuracy"].p_value == second["accuracy"].p_value


def test_without_answers_the_tolerance_alone_decides():
    found = compared(measured_gate.measured(accuracy=Metric(0.89, "higher")))
    assert found["accuracy"].status == "regression"
    assert found["accuracy"].p_value is None


def test_other_images_are_an_error():
    found = measured_gate.measured()
    other = dataclasses.replace(found, keys=[*found.keys[:-1], "another"])
    with pytest.raises(ValueError, match="same test images"):
        comparison.compare(measured_gate.agreeing(), other)


def test_a_metric_that_is_gone_and_one_that_is_new():
    found = measured_gate.measured(extra=metric.count(1, ""))
    del found.metrics["operators"]
    status = {name: each.status for name, each in compared(found).items()}
    assert status == {"operators": "missing", "extra": "new"}


def test_no_reason_excuses_a_metric_that_is_gone():
    found = measured_gate.measured()
    del found.metrics["operators"]
    reference = expecting(operators={"xfail": "two heads are float"})
    assert compared(found, reference)["operators"].status == "missing"


def test_a_metric_under_another_name_fails_twice():
    found = measured_gate.measured(renamed=metric.count(7, ""))
    del found.metrics["operators"]
    status = {name: each.status for name, each in compared(found).items()}
    assert status == {"operators": "missing", "renamed": "new"}


def test_what_is_no_finite_number_is_told_apart():
    strange = measured_gate.measured(
        madds=metric.cost(math.nan), operators=metric.count(math.inf, "")
    )
    kept, said = measured.finite(strange)
    assert kept.metrics.keys() == strange.metrics.keys() - {
        "madds",
        "operators",
    }
    assert [each.split()[:3] for each in said] == [
        ["madds", "is", "nan,"],
        ["operators", "is", "inf,"],
    ]


def test_labels_are_compared_one_by_one():
    found = dataclasses.replace(measured_gate.measured(), labels=("dog", "cat"))
    assert compared(found)["labels"].text == (
        "label 0 is 'dog', 'cat' in the reference; "
        "label 1 is 'cat', 'dog' in the reference"
    )


def test_what_is_expected_to_fail_passes_if_it_fails():
    reference = expecting(operators={"xfail": "two heads are float"})
    found = compared(
        measured_gate.measured(operators=metric.count(5, "")), reference
    )
    assert found["operators"].status == "expected"
    assert not found["operators"].failed
    assert "two heads are float" in found["operators"].text


def test_what_is_expected_to_fail_fails_if_it_passes():
    reference = expecting(operators={"xfail": "two heads are float"})
    found = compared(measured_gate.measured(), reference)["operators"]
    assert found.status == "unexpected"
    assert found.failed
    assert "two heads are float" in found.text
