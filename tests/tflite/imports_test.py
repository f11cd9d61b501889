import subprocess
import sys

import pytest

HEAVY = ("PIL", "absl", "apache_beam", "jax", "keras", "tensorflow", "tf_keras")
HEAVY += ("onnxruntime",)


@pytest.mark.parametrize(
    "module",
    [
        "tflite.runtime.harness",
        "tflite.runtime.batch_harness",
        "tflite.bundle",
        "tflite.timing.latency",
        "tflite.timing.cold_start",
        "keras_dynamic.exits",
    ],
)
def test_a_device_imports_nothing_heavy(module):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    imported = {name.split(".")[0] for name in done.stdout.split()}
    assert module.split(".")[0] in imported
    assert imported.isdisjoint(HEAVY)


def test_running_a_bundle_imports_nothing_heavy(
    tmp_path, write_bundle, segments
):
    write_bundle(tmp_path, segments)
    code = (
        "import sys, numpy; from tflite.runtime import batch_harness, harness; "
        "image = numpy.zeros((16, 16, 3), numpy.uint8); "
        "harness.Harness(sys.argv[1]).classify(image); "
        "batch_harness.BatchHarness(sys.argv[1]).run(image[None]); "
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    imported = {name.split(".")[0] for name in done.stdout.split()}
    assert "ai_edge_litert" in imported
    assert imported.isdisjoint({*HEAVY, "flatbuffers"})
