import json

import numpy as np
import pytest

from tests.support import small_bundle
from tests.support.tiny_graph import TinyGraph
from tflite import bundle
from tflite.diagnosis import inspection

IMAGE = inspection.Tensor("image", (1, 2, 2, 4), "int8", 1 / 255, -128)


def test_a_segment_s_tensors_and_operators(tmp_path):
    opened = small_bundle.write(tmp_path)
    found = inspection.contents(opened, 0)
    [image] = found.inputs
    assert image.scale == np.float32(1 / 255)
    assert (image.name, image.shape, image.dtype) == (
        IMAGE.name,
        IMAGE.shape,
        IMAGE.dtype,
    )
    logits, boundary = found.outputs
    assert logits == inspection.Tensor("exit_0", (1, 4), "int8", 0.0625, 0)
    assert boundary.name == opened.segments[0].wiring.outputs[1]
    assert boundary.shape == (1, 2, 2, 4)
    assert found.operators == {"ADD": 1, "MEAN": 1}
    assert found.delegation.operators == 2
    # What leaves one segment enters the next with the same facts.
    assert inspection.contents(opened, 1).inputs == (boundary,)


def test_the_most_frequent_operator_comes_first(tmp_path):
    graph = TinyGraph()
    x = graph.tensor([1, 4], name="x")
    y = graph.run("TANH", [x])
    for _ in range(3):
        y = graph.run("ADD", [y, y])
    model = graph.write([x], [y], {"image": x, "exit_0": y})
    wiring = bundle.Wiring(("image",), ("exit_0",), 0)
    opened = small_bundle.write(
        tmp_path,
        segments=[bundle.segment_facts(0, model, wiring, madds=0, params=0)],
        models=[model],
        policy=type(small_bundle.POLICY)(
            temperatures=(1.0,), thresholds=(0.0,), enabled=(True,)
        ),
        calibration=None,
    )
    found = inspection.contents(opened, 0)
    assert list(found.operators.items()) == [("ADD", 3), ("TANH", 1)]
    [tensor] = found.inputs
    assert (tensor.dtype, tensor.scale, tensor.zero_point) == (
        "float32",
        None,
        None,
    )


def test_a_report_is_json_and_complete(tmp_path):
    points = {"fast": small_bundle.POLICY}
    opened = small_bundle.write(tmp_path, operating_points=points)
    report = inspection.report(opened)
    # The archive that ships says the same.
    shipped = bundle.read(str(tmp_path / "bundle.zip"))
    assert json.dumps(inspection.report(shipped)) == json.dumps(report)
    sizes = [facts.bytes for facts in opened.segments]
    crossing = [each.pop("crossing") for each in report["exits"]]
    assert [each["bytes"] for each in crossing] == [16, 16, 0]
    assert [len(each["tensors"]) for each in crossing] == [1, 1, 0]
    assert report["exits"] == [
        {"exit": 0, "madds": 100, "params": 10, "bytes": sizes[0]},
        {"exit": 1, "madds": 250, "params": 20, "bytes": sum(sizes[:2])},
        {"exit": 2, "madds": 600, "params": 30, "bytes": sum(sizes)},
    ]
    assert report["archive_bytes"] == (tmp_path / "bundle.zip").stat().st_size
    assert report["operating_points"] == {"fast": small_bundle.POLICY.to_dict()}
    assert report["calibration"]["file"] == "calibration.npy"
    assert report["provenance"] == opened.provenance
    for each, facts in zip(report["segments"], opened.segments, strict=True):
        assert each["sha256"] == facts.sha256
        assert [tensor["name"] for tensor in each["inputs"]] == list(
            facts.wiring.inputs
        )


def test_what_does_not_fit_the_manifest_is_refused(tmp_path):
    opened = small_bundle.write(tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"exit_1"', '"other"'))
    with pytest.raises(bundle.InvalidBundle, match=r"exit_1\.tflite` must"):
        inspection.report(bundle.read(str(tmp_path)))
    (tmp_path / "exit_2.tflite").write_bytes(b"TFL3")
    with pytest.raises(bundle.InvalidBundle, match="SHA-256"):
        inspection.contents(opened, 2)


def test_images_of_another_shape_are_refused(tmp_path):
    small_bundle.write(tmp_path)
    path = tmp_path / "manifest.json"
    values = json.loads(path.read_text())
    values["input"]["shape"][2] = 16384
    path.write_text(json.dumps(values))
    with pytest.raises(bundle.InvalidBundle, match=r"exit_0\.tflite"):
        inspection.report(bundle.read(str(tmp_path)))
