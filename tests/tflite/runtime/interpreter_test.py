import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from tests.support.tiny_graph import TinyGraph
from tflite.format import model_file
from tflite.runtime import interpreter
from tflite.runtime.interpreter import Options

# An external delegate that notes its options, and takes no operator.
DELEGATE = r"""
#include <stdio.h>
#include <string.h>
struct delegate { void *data; int (*prepare)(void *, struct delegate *);
                  void *functions[4]; long flags; void *builder; } self;
static int prepare(void *context, struct delegate *each) { return 0; }
void *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                    void (*report)(const char *)) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(keys[i], "log")) { report("no such option"); return NULL; }
    FILE *log = fopen(values[i], "a"); fputs("made\n", log); fclose(log);
  }
  self.prepare = prepare;
  return &self;
}
void tflite_plugin_destroy_delegate(void *each) {}
"""


def tanh() -> bytes:
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    y = graph.run("TANH", [x])
    return graph.write([x], [y], {"x": x, "y": y})


def assert_tanh(loaded) -> None:
    value = np.linspace(-1, 1, 4, dtype=np.float32)[np.newaxis]
    loaded.set_tensor(loaded.get_input_details()[0]["index"], value)
    loaded.invoke()
    result = loaded.get_tensor(loaded.get_output_details()[0]["index"])
    np.testing.assert_allclose(result, np.tanh(value), rtol=1e-5)


def delegated(loaded) -> bool:
    return "DELEGATE" in [each["op_name"] for each in loaded._get_ops_details()]


@pytest.mark.parametrize("options", [None, Options(), Options(threads=2)])
def test_load_allocates(options):
    loaded = interpreter.load(tanh(), options)
    assert_tanh(loaded)
    assert delegated(loaded)


def test_a_file_is_mapped(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tanh())
    with open(path, "rb") as file:
        model = interpreter.Verified(tanh(), "tanh", file)
        for _ in range(2):
            assert_tanh(interpreter.load(model))
    assert model.memory > len(tanh())


def test_xnnpack_can_be_left_out():
    loaded = interpreter.load(tanh(), Options(xnnpack=False))
    assert_tanh(loaded)
    assert not delegated(loaded)


@pytest.mark.parametrize("model", [bytearray(b"x"), "x", None])
def test_only_bytes_are_loaded(model):
    with pytest.raises(TypeError, match="`model`"):
        interpreter.load(model)


@pytest.mark.parametrize("threads", [0, -1, 1.5, None, True])
def test_threads_are_checked(threads):
    with pytest.raises(ValueError, match="`threads`"):
        Options(threads=threads)


def test_options_of_a_delegate_need_one():
    with pytest.raises(ValueError, match="`delegate`"):
        Options(delegate_options={"a": "b"})


@pytest.mark.parametrize("model", [b"", b"no model at all"])
def test_what_is_not_sound_is_not_loaded(model):
    with pytest.raises(model_file.InvalidModel, match="`model`"):
        interpreter.load(model)


def test_refusals_are_errors():
    model = model_file.read(tanh())
    model.operatorCodes[0].version = 99
    with pytest.raises(interpreter.Refused, match="`model`"):
        interpreter.load(model_file.write(model))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    path = tmp_path_factory.mktemp("delegate")
    (path / "delegate.c").write_text(DELEGATE)
    command = [compiler, "-shared", "-fPIC", "-w", "-o", "delegate.so"]
    subprocess.run([*command, "delegate.c"], cwd=path, check=True)
    return str(path / "delegate.so")


def test_a_delegate_is_loaded_and_told_its_options(library, tmp_path):
    log = tmp_path / "log"
    for _ in range(2):  # Each interpreter has one of its own.
        options = Options(delegate=library, delegate_options={"log": str(log)})
        loaded = interpreter.load(tanh(), options)
        assert_tanh(loaded)
        # What it does not take is XNNPACK's.
        assert delegated(loaded)
    assert log.read_text() == "made\nmade\n"


@pytest.mark.parametrize("name", ["no/such/file.so", "text.so", "libc.so.6"])
def test_what_is_no_delegate_is_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.so").write_text("no library")
    with pytest.raises(ValueError, match=f"`delegate` must be.*{name}"):
        interpreter.load(tanh(), Options(delegate=name))


def test_what_a_delegate_refuses_is_named(library):
    options = Options(delegate=library, delegate_options={"a": "b"})
    with pytest.raises(ValueError, match="no such option"):
        interpreter.load(tanh(), options)


# Written while there is a schema to write it with.
SOUND = tanh()


class Stub:
    """An interpreter class that notes how it was made."""

    def __init__(self, **arguments):
        self.arguments = arguments

    def allocate_tensors(self):
        pass


def stubs(monkeypatch, *there: str) -> None:
    """Has exactly these packages installed, all of them stand-ins."""
    offers = {
        "OpResolverType": types.SimpleNamespace(
            BUILTIN_WITHOUT_DEFAULT_DELEGATES="plain"
        ),
        "load_delegate": lambda path, options: (path, options),
    }
    for package in ("ai_edge_litert", "tflite_runtime", "tensorflow"):
        kind = type(package, (Stub,), {})
        found = types.ModuleType(package)
        found.interpreter = types.ModuleType(f"{package}.interpreter")
        vars(found.interpreter).update(offers, Interpreter=kind)
        found.lite = types.SimpleNamespace(
            Interpreter=kind, experimental=types.SimpleNamespace(**offers)
        )
        # None is what cannot be imported.
        found = found if package in there else None
        inner = found and found.interpreter
        monkeypatch.setitem(sys.modules, package, found)
        monkeypatch.setitem(sys.modules, f"{package}.interpreter", inner)


@pytest.mark.parametrize(
    "there",
    [
        ("ai_edge_litert", "tflite_runtime", "tensorflow"),
        ("ai_edge_litert", "tensorflow"),
        ("tflite_runtime", "tensorflow"),
        ("tensorflow",),
    ],
)
def test_the_smallest_that_is_there_is_taken(monkeypatch, library, there):
    stubs(monkeypatch, *there)
    options = Options(3, False, library, {"a": "b"})
    loaded = interpreter.load(SOUND, options)
    assert type(loaded).__name__ == there[0]
    assert loaded.arguments == {
        "model_content": SOUND,
        "num_threads": 3,
        "experimental_op_resolver_type": "plain",
        "experimental_delegates": [(library, {"a": "b"})],
    }
    assert interpreter.load(SOUND).arguments == {
        "model_content": SOUND,
        "num_threads": 1,
    }


def test_what_to_install_is_named(monkeypatch):
    stubs(monkeypatch)
    message = "Install one of ai-edge-litert, tflite-runtime, tensorflow"
    with pytest.raises(ImportError, match=message):
        interpreter.load(SOUND)


def unruled() -> bytes:
    graph = TinyGraph()
    x = graph.tensor([1, 4], name="x")
    return graph.write([x], [graph.run("LOG_SOFTMAX", [x], name="y")])


def test_an_operator_without_a_rule_runs_if_its_maker_is_trusted(caplog):
    with pytest.raises(model_file.InvalidModel, match="LOG_SOFTMAX, has no"):
        interpreter.load(unruled())
    loaded = interpreter.load(unruled(), interpreter.Options(strict=False))
    assert "no rule for LOG_SOFTMAX" in caplog.text
    [asked], [given] = loaded.get_input_details(), loaded.get_output_details()
    loaded.set_tensor(asked["index"], np.zeros((1, 4), np.float32))
    loaded.invoke()
    found = loaded.get_tensor(given["index"])
    np.testing.assert_allclose(found, np.full((1, 4), -np.log(4)), rtol=1e-5)


def test_the_structure_is_checked_all_the_same():
    model = unruled()
    options = interpreter.Options(strict=False)
    for size in range(8, len(model), 97):
        with pytest.raises(model_file.InvalidModel):
            interpreter.load(model[:size], options)
