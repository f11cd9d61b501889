import dataclasses

import numpy as np
import pytest

from pipeline.gate import metric, reference, said_twice
from tests.support import measured_gate

TWO = {
    "kind": "max_probability",
    "temperatures": [1.0, 1.0],
    "thresholds": [0.5, 0.0],
    "enabled": [True, True],
}


def changed(**changes) -> reference.Reference:
    return dataclasses.replace(measured_gate.agreeing(), **changes)


def without(*names: str) -> reference.Reference:
    metrics = measured_gate.agreeing().metrics
    return changed(metrics={k: v for k, v in metrics.items() if k not in names})


def test_what_agrees():
    said_twice.check(measured_gate.agreeing())


@pytest.mark.parametrize(
    ("off", "field"),
    [
        (without("exit_1.agreement"), "policies.default"),
        (without("exit_0.agreement"), "policies.default"),
        (without("policy_default.accuracy"), "policies"),
        (changed(policies={}), "policies"),
        (changed(policies={"default": TWO, "fast": TWO}), "policies"),
    ],
)
def test_what_does_not(off, field):
    with pytest.raises(ValueError, match=f"`{field}` must"):
        said_twice.check(off)


def test_a_share_is_that_of_its_images():
    metrics = measured_gate.agreeing().metrics
    off = dataclasses.replace(metrics["accuracy"], value=0.9 + 1 / 400)
    with pytest.raises(ValueError, match=r"`metrics.accuracy.value`"):
        said_twice.check(changed(metrics=metrics | {"accuracy": off}))


def test_the_checksum_covers_what_was_measured_alone():
    before = measured_gate.agreeing()
    metrics = before.metrics
    wide = dataclasses.replace(
        metrics["madds"], tolerance=55, relative_tolerance=0.5, xfail="known"
    )
    same = changed(level=0.01, metrics=metrics | {"madds": wide})
    assert said_twice.checksum(same) == said_twice.checksum(before)
    right = np.roll(metrics["accuracy"].right, 1)
    moved = dataclasses.replace(metrics["accuracy"], right=right)
    others = [
        changed(metrics=metrics | {"accuracy": moved}),
        changed(labels=("dog", "cat")),
        changed(layer_errors={}),
        changed(images=399),
        changed(config="another"),
        without("operators"),
        measured_gate.agreeing(
            measured_gate.measured(madds=metric.cost(999.0))
        ),
    ]
    sums = {said_twice.checksum(each) for each in (before, *others)}
    assert len(sums) == 1 + len(others)
