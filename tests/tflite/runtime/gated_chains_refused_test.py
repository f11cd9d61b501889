"""Bundles with gates that no splitter writes."""

import dataclasses

import pytest

from keras_dynamic.exits.decision.policy import Policy
from tests.support import tiny_gated
from tflite import bundle
from tflite.cutting import split
from tflite.format import model_file
from tflite.runtime import harness

[IMAGE] = tiny_gated.images(1)


def cut() -> tuple[split.Segment, ...]:
    return split.split(tiny_gated.converted("blocks"))


def change(segments, place, **values):
    segments = list(segments)
    wiring = dataclasses.replace(segments[place].wiring, **values)
    segments[place] = dataclasses.replace(segments[place], wiring=wiring)
    return segments


@pytest.mark.parametrize(
    ("place", "values", "message"),
    [
        (1, {"gate": "nothing"}, r"segments\[1\].gate` must be an output"),
        (1, {"gate": "image"}, r"segments\[1\].gate` must be an output"),
        (1, {"gate": ""}, r"segments\[1\].gate` must be an output"),
        (0, {"gate": "image"}, r"segments\[0\].gate` must be an output"),
        (-1, {"exit": None}, "the last one at the end"),
        (1, {"exit": 1}, "in order"),
        (1, {"exit": 0}, "in order"),
        (4, {"gate": 3}, "a name"),
        (3, {"bypass": True}, "behind one with a gate"),
        (5, {"gate": "image"}, "have no gate and end no exit"),
        (5, {"outputs": ("other",)}, "outputs` must be those of the segment"),
        (5, {"bypass": False}, r"segments\[5\].outputs` must be names of its"),
        (5, {"bypass": 1}, "true, or no key"),
    ],
)
def test_bad_chains_are_refused(tmp_path, write_bundle, place, values, message):
    segments = change(cut(), place, **values)
    two_exits = Policy(
        thresholds=(0.5, 0.0), temperatures=(1.0, 1.0), enabled=(True, True)
    )
    with pytest.raises(bundle.InvalidBundle, match=message):
        write_bundle(tmp_path, segments, policy=two_exits)


def test_a_bypass_does_not_read_what_it_stands_for(tmp_path, write_bundle):
    segments = cut()
    inputs = (*segments[5].wiring.inputs, segments[4].wiring.outputs[0])
    with pytest.raises(bundle.InvalidBundle, match=r"segments\[5\].inputs"):
        write_bundle(tmp_path, change(segments, 5, inputs=inputs))


def test_a_bypass_gives_what_it_stands_for(tmp_path, write_bundle):
    segments = cut()
    bypass = model_file.read(segments[5].model)
    graph = bypass.subgraphs[0]
    for index in graph.outputs:
        graph.tensors[index].quantization.scale = [0.5]
    changed = dataclasses.replace(segments[5], model=model_file.write(bypass))
    write_bundle(tmp_path, [*segments[:5], changed, *segments[6:]])
    with (
        harness.Harness(str(tmp_path)) as chain,
        pytest.raises(bundle.InvalidBundle, match="has in other segments"),
    ):
        chain.warm_up()


def test_an_exit_has_no_gate(tmp_path, write_bundle):
    segments = cut()
    segments = change(segments, 2, gate=segments[1].wiring.gate)
    with pytest.raises(bundle.InvalidBundle, match="must not have a gate"):
        write_bundle(tmp_path, segments)


def test_a_gate_is_one_number(tmp_path, write_bundle):
    segments = cut()
    [other] = set(segments[0].wiring.outputs) - {segments[1].wiring.gate}
    write_bundle(tmp_path, change(segments, 1, gate=other))
    with (
        harness.Harness(str(tmp_path)) as chain,
        pytest.raises(bundle.InvalidBundle, match="one number per image"),
    ):
        chain.logits(IMAGE)
