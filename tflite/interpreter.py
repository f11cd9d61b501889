"""Finds a TensorFlow Lite interpreter and loads a model into it."""

import importlib
import operator

# Package, module, class; the smallest first.
_PROVIDERS = (
    ("ai-edge-litert", "ai_edge_litert.interpreter", "Interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter", "Interpreter"),
    ("tensorflow", "tensorflow", "lite.Interpreter"),
)


class Refused(ValueError):
    """A model that the interpreter does not take."""


def load(model: bytes, threads: int = 1):
    """Returns an interpreter that holds `model`, with its tensors allocated.

    Args:
        model: The .tflite file. Untrusted bytes belong through
            `flatbuffer.verify` first.
        threads: Threads that an operator may use.

    Raises:
        ImportError: if no interpreter is installed.
        TypeError: if `model` is not `bytes`.
        Refused: if the interpreter does not take `model`: an operator that it
            does not know, or shapes or options that an operator rejects.
        ValueError: if `threads` is no integer of 1 or more.
    """
    if not isinstance(model, bytes):
        raise TypeError(
            f"`model` must be bytes. Received: {type(model).__name__}"
        )
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(
            f"`threads` must be an integer of 1 or more. Received: {threads!r}"
        )
    interpreter = _interpreter_class()
    try:
        loaded = interpreter(model_content=model, num_threads=threads)
        loaded.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise Refused(
            f"`model` must be one that the interpreter takes. Received: {error}"
        ) from error
    return loaded


def _interpreter_class() -> type:
    reasons = []
    for _, module, name in _PROVIDERS:
        try:
            return operator.attrgetter(name)(importlib.import_module(module))
        except (ImportError, AttributeError) as error:
            reasons.append(str(error))
    raise ImportError(
        "No TensorFlow Lite interpreter was found. Install one of "
        f"{', '.join(package for package, _, _ in _PROVIDERS)}. "
        f"Tried: {'; '.join(reasons)}"
    )
