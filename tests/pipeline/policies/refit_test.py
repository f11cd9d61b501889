import dataclasses

import numpy as np
import pytest

from keras_dynamic import exits
from pipeline.policies import refit
from tests.support import small_bundle
from tests.support.tiny_graph import TinyGraph
from tflite import bundle
from tflite.bundle import recorded_logits

MADDS = [100, 250, 600]
RECORDED = small_bundle.recorded()
# Logits have a scale of 1/16 and no zero point.
LOGITS = RECORDED.logits * 0.0625
TEMPERATURES = small_bundle.POLICY.temperatures


@pytest.fixture
def opened(tmp_path) -> bundle.Bundle:
    return small_bundle.write(tmp_path / "bundle")


def calibrated(costs=MADDS, **measure) -> exits.Calibration:
    return exits.calibrate(
        LOGITS, RECORDED.labels, costs, TEMPERATURES, **measure
    )


def outcome(policy, costs=MADDS) -> exits.Outcome:
    return exits.outcome(policy.route(LOGITS), LOGITS, RECORDED.labels, costs)


@pytest.mark.parametrize("drop", [0.0, 0.02, 0.1])
def test_a_drop_is_what_the_solver_finds(opened, drop):
    found = refit.refit(opened, max_drop=drop)
    expected = exits.budgeted_drop(calibrated(), drop).policy
    assert found.policy.thresholds == expected.thresholds
    own = dict(found.policy.fitted)
    assert "300 calibration images" in own.pop("promise")
    assert own == expected.fitted | {"unit": "multiply-adds"}
    got = outcome(found.policy)
    assert found.accuracy == got.accuracy >= found.last.accuracy - drop
    assert found.mean_madds == pytest.approx(got.mean_cost)
    assert found.exit_shares == got.exit_shares
    assert found.images == 300
    assert found.mean_ms is None


def test_the_last_exit_is_what_it_is_compared_with(opened):
    last = refit.refit(opened, max_drop=0.0).last
    assert last.exit_shares == (0.0, 0.0, 1.0)
    assert last.mean_madds == 600
    assert last.accuracy == np.mean(LOGITS[2].argmax(1) == RECORDED.labels)


@pytest.mark.parametrize("budget", [100, 180.5, 400])
def test_a_budget_is_kept(opened, budget):
    found = refit.refit(opened, budget=budget)
    expected = exits.cost_budget(calibrated(), budget).policy
    assert found.policy.thresholds == expected.thresholds
    assert found.mean_madds == pytest.approx(outcome(expected).mean_cost)
    assert found.mean_madds <= budget
    assert found.policy.fitted["budget"] == budget
    assert found.policy.fitted["promise"].startswith("nothing of new images")


def test_a_budget_of_milliseconds(opened):
    times = [1.0, 1.5, 1.75]
    found = refit.refit(opened, budget=1.3, exit_ms=times)
    got = outcome(found.policy, times)
    assert found.mean_ms == got.mean_cost <= 1.3
    assert found.mean_madds == pytest.approx(outcome(found.policy).mean_cost)
    assert found.last.mean_ms == 1.75
    assert found.policy.fitted["unit"] == "ms"


def test_a_drop_can_save_milliseconds_rather_than_madds(opened):
    times = [1.0, 9.9, 10.0]
    found = refit.refit(opened, max_drop=0.05, exit_ms=times)
    expected = exits.budgeted_drop(calibrated(times), 0.05).policy
    assert found.policy.thresholds == expected.thresholds
    assert found.mean_ms == pytest.approx(outcome(expected, times).mean_cost)


@pytest.mark.parametrize("kind", ["margin", "patience"])
def test_the_measure_is_the_bundle_s_own(tmp_path, kind):
    own = exits.last_exit(TEMPERATURES, kind=kind)
    opened = small_bundle.write(tmp_path / "bundle", policy=own)
    found = refit.refit(opened, budget=400).policy
    assert found.kind == kind
    assert found.temperatures == TEMPERATURES
    expected = exits.cost_budget(calibrated(kind=kind), 400).policy
    assert found.thresholds == expected.thresholds


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({}, "One of `max_drop` and `budget`"),
        ({"max_drop": 0.1, "budget": 200}, "One of `max_drop` and `budget`"),
        ({"max_drop": 1.5}, "`max_drop`"),
        (
            {"budget": 99.5},
            "`budget`",
        ),
        ({"budget": np.nan}, "`budget`"),
        ({"budget": np.inf}, "`budget`"),
        (
            {"budget": 0.5, "exit_ms": [1.0, 2.0, 3.0]},
            "finite number of ms, at least the first exit's, 1:",
        ),
        ({"budget": 2.0, "exit_ms": [1.0, 2.0]}, "`exit_ms`"),
        (
            {"budget": 2.0, "exit_ms": [1.0, 1.0, 2.0]},
            "`costs`",
        ),
    ],
)
def test_what_cannot_be_asked_for(opened, target, message):
    with pytest.raises(ValueError, match=message):
        refit.refit(opened, **target)


def test_one_exit_has_nothing_to_fit(tmp_path):
    [first, *_] = small_bundle.segments()
    facts = bundle.segment_facts(
        0, first.model, first.wiring, madds=1, params=1
    )
    opened = small_bundle.write(
        tmp_path / "bundle",
        segments=[facts],
        models=[first.model],
        policy=exits.last_exit([1.0]),
        calibration=None,
    )
    with pytest.raises(ValueError, match="two exits or more"):
        refit.refit(opened, budget=1.0)


def test_without_the_file_it_says_what_makes_it(tmp_path):
    opened = small_bundle.write(tmp_path / "bundle", calibration=None)
    with pytest.raises(bundle.InvalidBundle, match="keras-dynamic convert"):
        refit.refit(opened, budget=200)


def test_measured_milliseconds_are_those_of_each_exit(opened):
    found = refit.measure(opened)
    assert len(found) == 3
    assert 0.0 < found[0] < found[1] < found[2]


def gated(directory) -> bundle.Bundle:
    """The chain, with something before the last exit that a gate switches.

    For every second image it was off, as recorded.
    """
    first, second, third = small_bundle.segments()
    [x] = second.wiring.outputs[1:]

    def part(name, gate, build):
        graph = TinyGraph()
        tensor = graph.tensor(
            (1, *small_bundle.SHAPE), np.int8, scale=1 / 255, zero_point=-128
        )
        output = build(graph, tensor)
        model = graph.write([tensor], [output], {x: tensor, name: output})
        return model, bundle.Wiring((x,), (name,), None, gate)

    def mean(graph, tensor):
        axes = graph.constant(np.array([1, 2, 3], np.int32))
        output = graph.tensor(
            [1, 1, 1, 1], np.int8, scale=1 / 255, zero_point=-128
        )
        graph.operator("MEAN", [tensor, axes], [output], keepDims=True)
        return output

    def double(graph, tensor):
        return graph.run("ADD", [tensor, tensor])

    madds = np.tile(MADDS, (len(RECORDED.labels), 1))
    madds[::2, 2] -= 300
    chain = [
        (first.model, first.wiring),
        (second.model, second.wiring),
        part("gate", None, mean),
        part("switched", "gate", double),
        (third.model, third.wiring),
    ]
    counted = (100, 150, 0, 300, 50)
    return small_bundle.write(
        directory,
        segments=[
            bundle.segment_facts(
                place, model, wiring, madds=counted[place], params=1
            )
            for place, (model, wiring) in enumerate(chain)
        ],
        models=[model for model, _ in chain],
        calibration=recorded_logits.encode(
            dataclasses.replace(RECORDED, madds=madds)
        ),
    )


def test_with_gates_costs_are_of_what_ran(tmp_path):
    opened = gated(tmp_path / "bundle")
    costs = [100, 250, 450]
    found = refit.refit(opened, budget=300)
    expected = exits.cost_budget(calibrated(costs), 300).policy
    assert found.policy.thresholds == expected.thresholds
    taken = expected.route(LOGITS)
    ran = np.where(
        (taken == 2) & (np.arange(300) % 2 == 0), 300, np.take(MADDS, taken)
    )
    assert found.mean_madds == ran.mean()
    assert found.last.mean_madds == 450


def test_with_gates_milliseconds_must_be_given(tmp_path):
    opened = gated(tmp_path / "bundle")
    with pytest.raises(ValueError, match="`exit_ms`"):
        refit.measure(opened)
    found = refit.refit(opened, budget=1.5, exit_ms=[1.0, 2.0, 3.0])
    assert found.mean_ms <= 1.5
