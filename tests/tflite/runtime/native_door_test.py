"""Only `runtime.interpreter` reaches the native runtime, and it looks first."""

import ast
import pathlib

import pytest

from tflite.runtime import interpreter

ROOT = pathlib.Path(__file__).parents[3]
DOOR = "tflite/runtime/interpreter.py"
SOURCES = [
    path
    for package in ("keras_dynamic", "tflite", "pipeline", "benchmarks")
    for path in sorted((ROOT / package).rglob("*.py"))
]
# Modules that hold an interpreter; what is in them that makes one.
MODULES = ("ai_edge_litert", "tflite_runtime", "litert", "tensorflow.lite")
CLASSES = {
    "Interpreter",
    "InterpreterWithCustomOps",
    "CompiledModel",
    "load_delegate",
    "import_module",
}
# Of the same package, and no native code.
SCHEMA = "schema_py_generated"


def doors(source: str) -> list[str]:
    """What in a module's source reaches an interpreter."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
            found += [each for each in names if each.startswith(MODULES)]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{each.name}" for each in node.names]
            found += [
                each
                for each in names
                if each.startswith(MODULES) and not each.endswith(SCHEMA)
            ]
            found += [each for each in names if each.split(".")[-1] in CLASSES]
        elif isinstance(node, ast.Attribute) and node.attr in CLASSES:
            found.append(node.attr)
        elif isinstance(node, ast.Name) and node.id in CLASSES:
            found.append(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            dotted = node.value.split(".")
            if node.value.startswith(MODULES) and len(dotted) > 1:
                found.append(node.value)
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import tflite_runtime.interpreter",
        "import ai_edge_litert.interpreter as x",
        "from ai_edge_litert import interpreter",
        "from ai_edge_litert.interpreter import Interpreter as x",
        "from ai_edge_litert.compiled_model import CompiledModel",
        "tf.lite.Interpreter(model_content=data)",
        "from tensorflow.lite import Interpreter",
        "importlib.import_module('ai_edge_litert.interpreter')",
        "x = 'tflite_runtime.interpreter'",
    ],
)
def test_a_door_is_seen(source):
    assert doors(source)


def test_the_schema_is_none():
    assert not doors("from ai_edge_litert import schema_py_generated as schema")


def test_there_is_one_door():
    found = {}
    for path in SOURCES:
        name = path.relative_to(ROOT).as_posix()
        seen = doors(path.read_text(encoding="utf-8"))
        if "import_module" in seen and set(seen) == {"import_module"}:
            continue  # Of our own modules; what they import is seen there.
        if seen:
            found[name] = seen
    assert list(found) == [DOOR]


def test_nothing_unsound_comes_through(monkeypatch):
    def reached():
        raise AssertionError("the runtime was reached")

    monkeypatch.setattr(interpreter, "_provider", reached)
    for data in (b"", b"no model at all", b"\x1c\0\0\0TFL3" + bytes(100)):
        with pytest.raises(ValueError, match="`model`"):
            interpreter.load(data)
        with pytest.raises(ValueError, match="`name`"):
            interpreter.Verified(data, "name")
