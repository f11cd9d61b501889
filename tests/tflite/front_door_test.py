import pkgutil
import subprocess
import sys

import pytest

import tflite


def test_a_device_needs_no_tensorflow():
    code = (
        "import sys; sys.modules.update(keras=None, tensorflow=None)\n"
        "import tflite\n"
        "print(*sys.modules)\n"
        "tflite.Harness, tflite.BatchHarness, tflite.bundle.read, tflite.split"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == 0
    assert {"numpy", "tflite.runtime"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("name", tflite.__all__)
def test_every_name_is_there(name):
    assert name in dir(tflite)
    if name == "quantize":
        pytest.importorskip("keras")  # Which a device has not.
    assert getattr(tflite, name).__name__.rpartition(".")[2] == name


def test_no_name_is_a_submodule_s_and_means_something_else():
    rooms = {module.name for module in pkgutil.iter_modules(tflite.__path__)}
    for name in rooms & set(tflite.__all__):
        assert getattr(tflite, name).__name__ == f"tflite.{name}"


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="harness"):
        _ = tflite.harness
