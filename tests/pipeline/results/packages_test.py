import importlib.metadata

import pytest

from pipeline.results import packages


@pytest.fixture
def install(monkeypatch):
    """Pretends that certain packages are installed, and no others."""

    def pretend(**versions):
        def version(name):
            if name.replace("-", "_") not in versions:
                raise importlib.metadata.PackageNotFoundError(name)
            return versions[name.replace("-", "_")]

        monkeypatch.setattr(importlib.metadata, "version", version)

    return pretend


def test_a_missing_package_has_no_version(install):
    install(numpy="2.4.6")
    assert packages.versions(["numpy", "tf2onnx", "tensorflow"]) == {
        "numpy": "2.4.6",
        "tf2onnx": None,
        "tensorflow": None,
    }


def test_tensorflow_for_cpus_is_tensorflow(install):
    install(tensorflow_cpu="2.21.0")
    assert packages.versions(["tensorflow"]) == {"tensorflow": "2.21.0"}
    install(tensorflow="2.21.1", tensorflow_cpu="2.21.0")
    assert packages.versions(["tensorflow"]) == {"tensorflow": "2.21.1"}
