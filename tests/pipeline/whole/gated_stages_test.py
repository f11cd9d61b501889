"""`convert`, `check` and `benchmark` of a network with a gate and two exits."""

import dataclasses
import json
import shutil
import types

import numpy as np
import pytest

from keras_dynamic.graph import cost
from pipeline import config
from pipeline.benchmarking import benchmark
from pipeline.cli import split_verb
from pipeline.gate import check
from pipeline.policies import refit
from pipeline.quantization import convert
from pipeline.results import predictions, stage_results
from pipeline.results.layout import Layout
from tests.support import prepared_data
from tflite import bundle
from tflite.bundle import recorded_logits
from tflite.runtime.batch_harness import BatchHarness
from tflite.runtime.harness import Harness

SIZE = 8
CLASSES = 4


def images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of different brightness, and labels."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (count, SIZE, SIZE, 3))
    colour = rng.integers(0, 256, (count, 1, 1, 3))
    return ((noise + 3 * colour) // 4).astype(np.uint8), np.arange(count) % 4


def network():
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    # Open where there is more red than green.
    score = layers.Conv2D(1, 1, name="score")
    mean = layers.GlobalAveragePooling2D(keepdims=True)(image)
    gate = layers.ReLU(1.0)(score(mean))
    kernel = np.reshape([8.0, -8.0, 0.0], (1, 1, 3, 1))
    score.set_weights([kernel, np.ones(1)])
    branch = layers.Conv2D(8, 3, padding="same")(x)
    deep = layers.Add()([x, layers.Multiply()([branch, gate])])
    logits = [
        layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(each))
        for each in (x, deep)
    ]
    return keras.Model(image, logits)


def converted(made, directory) -> bytes:
    """The int8 model of a Keras model, with the names that ours have."""
    import tensorflow as tf

    module = tf.Module()
    module.kept = [each.value for each in made.variables]

    @tf.function(
        input_signature=[tf.TensorSpec((1, SIZE, SIZE, 3), name="image")]
    )
    def serve(image):
        return {f"exit_{k}": each for k, each in enumerate(made(image))}

    tf.saved_model.save(module, directory, signatures=serve)
    samples = images(32, 9)[0][:, None] / np.float32(255)
    samples[0, 0, 0, 0], samples[0, 0, 0, 1] = 0.0, 1.0
    converter = tf.lite.TFLiteConverter.from_saved_model(directory)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([each] for each in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return converter.convert()


def settings(q: float = 1.0):
    found = config.load("ranet_digits")
    with found.unlocked():
        found.model.size = found.data.size = SIZE
        found.data.channels = 3
        found.policy.rule, found.policy.q = "budgeted_batch", q
        found.benchmark.warmup, found.benchmark.runs = 1, 30
        found.benchmark.starts = 1
    return found


def convert_with(model: bytes, q: float, layout: Layout):
    """What `convert` does if the converter gives this model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert.conversion, "convert", lambda *_: model)
        made = convert.convert(settings(q), layout)
    stage_results.publish(layout)
    return made


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A working directory after the three stages, and the Keras model."""
    made = network()
    model = converted(made, str(tmp_path_factory.mktemp("saved_model")))
    layout = Layout(tmp_path_factory.mktemp("gated"))
    layout.data.mkdir()
    members = {
        split: images(count, seed)
        for seed, (split, count) in enumerate(
            {"train": 4, "validation": 4, "calibration": 40, "test": 40}.items()
        )
    }
    prepared_data.write(layout.data, members, labels=CLASSES)
    pixels, labels = members["test"]
    logits = np.stack(made.predict(pixels / np.float32(255), verbose=0))
    said = predictions.Predictions(labels, logits)
    layout.float_predictions.parent.mkdir()
    predictions.save(layout.float_predictions, test=said)
    rows = [
        dataclasses.asdict(each) | {"accuracy": {"float": right, "qat": 0.0}}
        for each, right in zip(
            cost.exit_costs(made), said.accuracies(), strict=True
        )
    ]
    stage_results.keep(layout, "evaluate", {"exits": rows}, {})
    stage_results.publish(layout)
    convert_with(model, 1.0, layout)
    check.check(settings(), layout)
    benchmark.benchmark(settings(), layout)
    stage_results.publish(layout)
    return layout, made


def test_the_bundle_has_a_gated_segment_and_the_keras_model_s_costs(finished):
    layout, made = finished
    found = bundle.read(str(layout.bundle))
    # The first exit, the gate, what it switches, the second exit.
    assert [each.wiring.exit for each in found.segments] == [0, None, None, 1]
    gates = [each.wiring.gate for each in found.segments]
    assert gates == [None, None, found.segments[1].wiring.outputs[0], None]
    madds = np.cumsum([each.madds for each in found.segments])[list(found.ends)]
    assert madds.tolist() == [each.madds for each in cost.exit_costs(made)]


def test_the_metrics_count_what_ran(finished):
    layout, _ = finished
    metrics = json.loads(layout.metrics.read_text())
    assert metrics["chain"]["mismatches"] == 0
    [first, last] = metrics["exits"]
    assert first["dynamic_madds"]["int8"]["std"] == 0.0
    assert first["dynamic_madds"]["int8"]["mean"] == first["madds"]
    gated = bundle.read(str(layout.bundle)).segments[2].madds
    assert last["dynamic_madds"]["int8"]["max"] == last["madds"]
    assert last["dynamic_madds"]["int8"]["min"] == last["madds"] - gated
    assert last["dynamic_madds"]["int8"]["mean"] < last["madds"]


def test_curves_are_of_what_ran(finished):
    layout, _ = finished
    metrics = json.loads(layout.metrics.read_text())
    points = metrics["curves"]["int8"]["anytime"]["points"]
    assert [point["madds"] for point in points] == [
        row["dynamic_madds"]["int8"]["mean"] for row in metrics["exits"]
    ]
    table = layout.curves_table.read_text()
    assert str(points[-1]["madds"]) in table


def test_what_policies_cost_is_what_the_harness_counts(finished):
    layout, _ = finished
    metrics = json.loads(layout.metrics.read_text())
    pixels, _ = images(40, 3)
    with Harness(str(layout.bundle)) as harness:
        results = [harness.classify(image) for image in pixels]
    [row] = [each for each in metrics["routed"] if each["bundle"]]
    assert row["mean_madds"] == np.mean([each.madds for each in results])
    many = BatchHarness(str(layout.bundle), 16).run(pixels)
    assert many.madds.tolist() == [each.madds for each in results]


def test_policies_are_fitted_to_what_ran(finished):
    layout, _ = finished
    opened = bundle.read(str(layout.bundle))
    recorded = recorded_logits.read(opened)
    pixels, labels = images(40, 2)
    with Harness(str(layout.bundle)) as harness:
        runs = [list(harness.exits(image)) for image in pixels]
    expected = [
        (label, *np.cumsum([each.madds for each in run]), *run[1].logits)
        for label, run in zip(labels, runs, strict=True)
    ]
    found = zip(
        recorded.labels, *recorded.madds.T, *recorded.logits[1].T, strict=True
    )
    assert sorted(found) == sorted(expected)
    mean = recorded.madds[:, 1].mean()
    assert refit.refit(opened, max_drop=1.0).last.mean_madds == mean
    assert mean < sum(each.madds for each in opened.segments)


def test_times_are_of_exits_and_of_segments(finished):
    layout, _ = finished
    metrics = json.loads(layout.metrics.read_text())
    first, _, gated, _ = metrics["segment_latency_ms"]
    assert gated["p99"] > 0.0
    shallow, deep = (row["latency_ms"] for row in metrics["exits"])
    assert shallow["mean"] == pytest.approx(first["mean"])
    assert shallow["mean"] < deep["mean"]


def test_times_are_of_the_bundle_that_is_there(finished, tmp_path):
    work = shutil.copytree(finished[0].root, tmp_path / "work")
    layout = Layout(work)
    model = layout.tflite_model.read_bytes()
    before = json.loads(layout.metrics.read_text())
    made = convert_with(model, 0.1, layout)
    found = json.loads(layout.metrics.read_text())
    assert found["routed"] == made.metrics["routed"] != before["routed"]
    assert not {"chain", "unsplit_latency_ms"} & found.keys()
    assert all(row["mean_latency_ms"] is None for row in found["routed"])
    assert not any("latency_ms" in row for row in found["exits"])
    convert_with(model, 1.0, layout)
    assert json.loads(layout.metrics.read_text()) == before


def test_all_is_measured_but_what_is_not_there(finished):
    layout, _ = finished
    found = json.loads(layout.benchmark_json.read_text())
    names = ["chain", "routed", "unsplit", "static"]
    assert [
        (row["contestant"], row["threads"], row["segment"])
        for row in found["rows"]
        if row["contestant"] != "chain"
    ] == [(name, threads, None) for threads in (1, 2) for name in names[1:]]
    segments = [
        row for row in found["rows"] if row["segment"] and row["threads"] == 1
    ]
    assert len(segments) == 4
    metrics = json.loads(layout.metrics.read_text())
    for row, noted in zip(segments, metrics["segment_latency_ms"], strict=True):
        assert row["call_mean_ms"] == noted["mean"]
        assert 0 < row["kernel_mean_ms"] < row["call_mean_ms"]
    # There is no float model here.
    assert [each["name"] for each in found["absent"]] == ["float", "onnx"]
    for each in found["absent"]:
        assert "float.keras" in each["reason"]


def test_split_prints_gates_and_can_leave_them(finished, tmp_path, capsys):
    layout, _ = finished
    [gate] = bundle.read(str(layout.bundle)).segments[1].wiring.outputs
    for exits_only, gates in (
        (False, [None, None, gate, None]),
        (True, [None] * 2),
    ):
        flags = types.SimpleNamespace(
            output=str(tmp_path / str(exits_only)),
            exits_only=exits_only,
            json=True,
        )
        split_verb.run(flags, [str(layout.tflite_model)])
        said = json.loads(capsys.readouterr().out)["segments"]
        assert [each["gate"] for each in said] == gates
        # The same as a table: the gate by its number.
        head, *rows = split_verb.text(said).split("\n\n")[0].splitlines()
        column = head.index("gate")
        cells = [row[column : column + 4].strip() for row in rows]
        assert list(map(bool, cells)) == list(map(bool, gates))
