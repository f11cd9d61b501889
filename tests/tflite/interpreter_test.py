import numpy as np
import pytest
from tiny_graph import TinyGraph

from tflite import interpreter


def tanh() -> bytes:
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    y = graph.run("TANH", [x])
    return graph.write([x], [y], {"x": x, "y": y})


def test_load_allocates():
    loaded = interpreter.load(tanh(), threads=2)
    value = np.linspace(-1, 1, 4, dtype=np.float32)[np.newaxis]
    loaded.set_tensor(loaded.get_input_details()[0]["index"], value)
    loaded.invoke()
    result = loaded.get_tensor(loaded.get_output_details()[0]["index"])
    np.testing.assert_allclose(result, np.tanh(value), rtol=1e-5)


@pytest.mark.parametrize("model", [bytearray(b"x"), "model.tflite", None])
def test_only_bytes_are_loaded(model):
    with pytest.raises(TypeError, match="`model` must be bytes"):
        interpreter.load(model)


@pytest.mark.parametrize("threads", [0, -1, 1.5, None])
def test_threads_are_checked(threads):
    with pytest.raises(ValueError, match="`threads` must be"):
        interpreter.load(tanh(), threads)


@pytest.mark.parametrize("model", [b"", b"no model at all"])
def test_refusals_are_errors(model):
    with pytest.raises(interpreter.Refused, match="`model` must be one"):
        interpreter.load(model)


def test_what_to_install_is_named(monkeypatch):
    providers = (("some-package", "no.such.module", "Interpreter"),)
    monkeypatch.setattr(interpreter, "_PROVIDERS", providers)
    with pytest.raises(ImportError, match="Install one of some-package"):
        interpreter.load(tanh())


def test_the_next_provider_is_tried(monkeypatch):
    providers = (("a", "no.such.module", "X"), *interpreter._PROVIDERS)
    monkeypatch.setattr(interpreter, "_PROVIDERS", providers)
    assert interpreter.load(tanh()) is not None
