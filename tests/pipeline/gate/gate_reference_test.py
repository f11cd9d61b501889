import dataclasses

from pipeline.gate import comparison, metric, reference
from tests.support import measured_gate


def test_an_update_keeps_what_people_decide():
    old = measured_gate.agreeing()
    known = dataclasses.replace(
        old.metrics["operators"], xfail="two heads are float"
    )
    wide = dataclasses.replace(old.metrics["madds"], tolerance=55.0)
    old = dataclasses.replace(
        old,
        level=0.01,
        metrics=old.metrics | {"operators": known, "madds": wide},
    )
    now = measured_gate.measured(
        measured_gate.answered(300),
        madds=metric.cost(2000.0),
        operators=metric.count(5, ""),
    )
    new = reference.updated(old, now, {})
    assert new.level == 0.01
    assert new.metrics["madds"].value == 2000.0
    assert new.metrics["madds"].tolerance == 55.0
    assert new.metrics["accuracy"].value == 0.75
    assert new.metrics["operators"] == known
    failed = [each for each in comparison.compare(new, now) if each.failed]
    assert failed == []


def test_an_update_to_other_images_forgets_the_answers():
    known = dataclasses.replace(
        measured_gate.agreeing().metrics["accuracy"], xfail="too narrow"
    )
    old = dataclasses.replace(
        measured_gate.agreeing(), metrics={"accuracy": known}, sha256="0" * 64
    )
    new = reference.updated(old, measured_gate.measured(), {})
    assert new.metrics["accuracy"].xfail == "too narrow"
    assert new.metrics["accuracy"].right is None
