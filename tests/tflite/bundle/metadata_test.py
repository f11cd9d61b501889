import dataclasses
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from tests.support import small_bundle
from tests.support.tiny_graph import TinyGraph
from tflite import bundle
from tflite.bundle import metadata
from tflite.format import model_file
from tflite.runtime.harness import Harness

LABELS = ["zero", "one", "zwei", "drei", "vier"]


def attach(segment, **changes) -> bytes:
    if not metadata.available():
        pytest.skip("needs tflite-support")
    facts = {
        "name": "three exits",
        "description": "Exit of a test.",
        "labels": LABELS,
        "logits_name": segment.output,
        "image_name": "image",
        "version": "1",
    }
    return metadata.attach(segment.model, **(facts | changes))


@pytest.fixture(scope="session")
def displayer():
    """tflite-support's own reader: model -> (metadata, displayer)."""

    def read(model: bytes):
        metadata._tflite_support()
        from tensorflow_lite_support.metadata.python import metadata as support

        shown = support.MetadataDisplayer.with_model_buffer(model)
        return json.loads(shown.get_metadata_json()), shown

    return read


def test_first_segment_describes_image_and_labels(segments, displayer):
    facts, shown = displayer(attach(segments[0]))
    assert facts["name"] == "three exits"
    assert facts["description"] == "Exit of a test."
    assert facts["version"] == "1"
    assert facts["min_parser_version"]
    (graph,) = facts["subgraph_metadata"]
    (image,) = graph["input_tensor_metadata"]
    assert image["name"] == "image"
    assert image["content"]["content_properties"] == {
        "color_space": "RGB",
        "default_size": {"width": 16, "height": 16},
    }
    (unit,) = image["process_units"]
    assert unit["options"] == {"mean": [0.0], "std": [255.0]}
    assert image["stats"] == {"min": [-128.0], "max": [127.0]}
    logits, *boundary = graph["output_tensor_metadata"]
    assert logits["name"] == "output_0"
    (file,) = logits["associated_files"]
    assert file["type"] == "TENSOR_AXIS_LABELS"
    assert [each["name"] for each in boundary] == list(
        segments[0].wiring.outputs[1:]
    )
    assert shown.get_packed_associated_file_list() == ["labels.txt"]
    text = shown.get_associated_file_buffer("labels.txt").decode()
    assert text == "zero\none\nzwei\ndrei\nvier\n"


def test_every_segment_is_described_and_computes_the_same(
    segments, displayer, run_whole
):
    rng = np.random.default_rng(0)
    known = {"image": rng.integers(-128, 128, (1, 16, 16, 3)).astype(np.int8)}
    for segment in segments:
        model = attach(segment)
        model_file.verify(model)
        (graph,) = displayer(model)[0]["subgraph_metadata"]
        for side, names in (
            ("input", segment.wiring.inputs),
            ("output", segment.wiring.outputs),
        ):
            rows = graph[f"{side}_tensor_metadata"]
            assert [row["name"] for row in rows] == list(names)
            assert all(row["description"] for row in rows)
        inputs = {name: known[name] for name in segment.wiring.inputs}
        before, after = (
            run_whole(segment.model, inputs),
            run_whole(model, inputs),
        )
        assert set(after) == set(segment.wiring.outputs)
        for name in segment.wiring.outputs:
            np.testing.assert_array_equal(before[name], after[name])
        known |= before


def test_the_labels_are_the_only_file_of_a_model(segments, displayer):
    facts, shown = displayer(attach(segments[1]))
    assert shown.get_packed_associated_file_list() == ["labels.txt"]
    assert "associated_files" not in facts


def test_a_policy_that_a_model_had_before_is_carried_and_not_read(
    tmp_path, segments, write_bundle
):
    """Earlier versions put one into the zip of each exit's segment."""
    old = []
    for each in segments:
        file = io.BytesIO(attach(each))
        with zipfile.ZipFile(file, "a") as appended:
            appended.writestr("policy.json", '{"thresholds": "stale"}')
        old.append(dataclasses.replace(each, model=file.getvalue()))
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    results = []
    for name, parts in (("old", old), ("new", segments)):
        write_bundle(tmp_path / name, parts)
        with Harness(str(tmp_path / name)) as harness:
            results.append(harness.classify(image).probabilities)
    np.testing.assert_array_equal(*results)
    opened = bundle.read(str(tmp_path / "old"))
    again = bundle.rewrite(
        opened,
        str(tmp_path / "again"),
        policy=dataclasses.replace(opened.policy, thresholds=(0.9, 0.9, 0.0)),
        operating_points={},
    )
    assert [again.model(k) for k in range(3)] == [each.model for each in old]


@pytest.mark.slow
def test_another_process_writes_the_same_bytes():
    written = attach(small_bundle.segments()[0])
    code = (
        "import hashlib; from tests.support import small_bundle; "
        "from tests.tflite.bundle import metadata_test as test; "
        "[segment, *_] = small_bundle.segments(); "
        "written = test.attach(segment); "
        "print(hashlib.sha256(written).hexdigest())"
    )
    root = pathlib.Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code],
        # Another order of sets, and another time zone.
        env=os.environ
        | {
            "PYTHONHASHSEED": "7",
            "TZ": "Asia/Tokyo",
            "PYTHONPATH": str(root),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [hashlib.sha256(written).hexdigest()]


def test_bytes_are_deterministic_and_keep_the_rest(segments):
    model = attach(segments[0])
    assert model == attach(segments[0])
    before, after = model_file.read(segments[0].model), model_file.read(model)
    names = [entry.name for entry in after.metadata]
    assert names == [b"min_runtime_version", b"TFLITE_METADATA"]
    assert len(after.buffers) == len(before.buffers) + 1
    assert len(after.signatureDefs) == 1


def test_float_images_are_between_0_and_1(float_model, displayer):
    model = metadata.attach(
        float_model,
        name="all exits",
        description="The unsplit model.",
        labels=LABELS,
        logits_name="StatefulPartitionedCall_1:0",
        image_name="serving_default_image:0",
    )
    (graph,) = displayer(model)[0]["subgraph_metadata"]
    (image,) = graph["input_tensor_metadata"]
    assert image["stats"] == {"min": [0.0], "max": [1.0]}


def test_bad_arguments_are_refused(segments):
    with pytest.raises(ValueError, match="`logits_name`"):
        attach(segments[0], logits_name="image")
    with pytest.raises(ValueError, match="no metadata yet"):
        described = attach(segments[0])
        metadata.attach(
            described,
            name="",
            description="",
            labels=LABELS,
            logits_name="output_0",
            image_name="image",
        )
    graph = TinyGraph()
    x = graph.tensor([1, 4], name="image")
    flat = graph.write([x], [graph.run("TANH", [x], name="logits")])
    with pytest.raises(ValueError, match="`image_name`"):
        metadata.attach(
            flat,
            name="",
            description="",
            labels=LABELS,
            logits_name="logits",
            image_name="image",
        )
    with pytest.raises(model_file.InvalidModel):
        metadata.attach(
            segments[0].model[:500],
            name="",
            description="",
            labels=LABELS,
            logits_name="output_0",
            image_name="image",
        )


def test_what_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "libusb_package", None)
    assert not metadata.available()
    [segment, *_] = small_bundle.segments()
    with pytest.raises(ImportError, match=r"keras-dynamic\[support\]"):
        metadata.attach(
            segment.model,
            name="",
            description="",
            labels=LABELS,
            logits_name=segment.output,
            image_name="image",
        )
