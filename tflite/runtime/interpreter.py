"""Finds a TensorFlow Lite interpreter and loads a model into it.

The one door to the native runtime, which trusts what it is given and ends the
process where it should not have: no other module makes an interpreter, and
nothing comes in here that `model_file.verify` has not accepted.
"""

import ctypes
import importlib
import logging
import operator
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from tflite.format import model_file

# Package, module, the place in it of the class, and of what belongs to it
# (`OpResolverType`, `load_delegate`); the smallest first.
_PROVIDERS = (
    ("ai-edge-litert", "ai_edge_litert.interpreter", "Interpreter", None),
    ("tflite-runtime", "tflite_runtime.interpreter", "Interpreter", None),
    ("tensorflow", "tensorflow", "lite.Interpreter", "lite.experimental"),
)


class Refused(ValueError):
    """Says that the interpreter does not take a model."""


@dataclass(frozen=True)
class Options:
    """Says how models are run, as Android's `Interpreter.Options` does.

    Attributes:
        threads: CPU threads that an operator may use; 1 or more.
        xnnpack: Whether XNNPACK, the fast CPU kernels, runs what it can. Off,
            the runtime's own kernels do: another rounding of int8, so other
            logits by a step or two.
        delegate: Path of a shared library with an external delegate, which
            takes what it can before XNNPACK; None for none.
        delegate_options: What the delegate is told, by name.
        memory_mapped: Whether model files are mapped instead of read: pages
            that the system can drop, and shares with other processes. What
            was verified is what is mapped, as long as nobody writes into the
            file: replace a bundle by renaming a new one into its place.
        strict: Whether operators that the verifier has no rule for are
            refused. Off, they run, and a warning names them: for models whose
            maker is trusted.

    Raises:
        ValueError: if `threads` is no integer of 1 or more, or there are
            `delegate_options` without a `delegate`.
    """

    threads: int = 1
    xnnpack: bool = True
    delegate: str | None = None
    delegate_options: Mapping[str, str] = field(default_factory=dict)
    memory_mapped: bool = False
    strict: bool = True

    def __post_init__(self):
        """Checks `threads` and `delegate_options`."""
        # True is an int to Python, and an error here.
        if type(self.threads) is not int or self.threads < 1:
            raise ValueError(
                "`threads` must be an integer of 1 or more. "
                f"Received: {self.threads!r}"
            )
        if self.delegate_options and self.delegate is None:
            raise ValueError(
                "`delegate_options` must come with a `delegate`. "
                f"Received: {dict(self.delegate_options)}"
            )


class Verified:
    """Holds a model that `model_file.verify` accepted, to load again and again.

    Args:
        data: The .tflite file; the interpreters keep it, and do not copy it.
        name: What an error calls it.
        file: The open file that holds `data`, if it shall be mapped; it must
            stay open.
        strict: As in `Options`.

    Attributes:
        memory: Bytes of the file, and of what running it may need.

    Raises:
        TypeError: if `data` is not bytes; a view of bytes, or an mmap, is what
            no interpreter takes.
        flatbuffer.InvalidModel: if it is not a sound model.
    """

    def __init__(
        self,
        data: bytes,
        name: str = "model",
        file: BinaryIO | None = None,
        *,
        strict: bool = True,
    ):
        if not isinstance(data, bytes):
            raise TypeError(
                f"`model` must be bytes. Received: {type(data).__name__}"
            )
        needed = model_file.verify(data, name, strict=strict)
        self.memory = len(data) + needed
        if not strict and (free := model_file.unruled(data)):
            logging.getLogger(__name__).warning(
                "%s: structure checked; no rule for %s, which only the "
                "runtime checks",
                name,
                ", ".join(free),
            )
        self._name = name
        self._file = file
        self._data = data if file is None else None

    def close(self) -> None:
        """Closes the file, if there is one."""
        if self._file is not None:
            self._file.close()

    def _arguments(self) -> dict[str, Any]:
        if self._file is None:
            return {"model_content": self._data}
        # Names the open file, the very one that was verified, whatever its
        # name in the directory means by now.
        return {"model_path": f"/dev/fd/{self._file.fileno()}"}


def load(model: bytes | Verified, options: Options | None = None) -> Any:
    """Returns an interpreter that holds `model`, with its tensors allocated.

    Args:
        model: The .tflite file, which is verified here; or what was verified
            before, if it is loaded more than once.
        options: How to run it; one thread and XNNPACK if there are none.

    Raises:
        ImportError: if no interpreter is installed.
        TypeError: as `Verified`.
        flatbuffer.InvalidModel: as `Verified`.
        Refused: if the interpreter does not take `model`: an operator's version
            that it does not know, or shapes or options that it rejects.
        ValueError: if the delegate cannot be loaded.
    """
    options = options or Options()
    if not isinstance(model, Verified):
        model = Verified(model, strict=options.strict)
    arguments = model._arguments()
    interpreter, extras = _provider()
    if not options.xnnpack:
        arguments["experimental_op_resolver_type"] = (
            extras.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
    if options.delegate is not None:
        arguments["experimental_delegates"] = [
            _delegate(extras.load_delegate, options)
        ]
    try:
        loaded = interpreter(num_threads=options.threads, **arguments)
        loaded.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise Refused(
            f"`{model._name}` must be one that the interpreter takes. "
            f"Received: {error}"
        ) from error
    return loaded


def runner(loaded: Any) -> Callable[[], None]:
    """Returns what runs an interpreter whose tensors nobody looks at.

    That is its `invoke` without the check that no array of its memory is held,
    which takes as long as a small operator.
    """
    native = getattr(loaded, "_interpreter", None)
    return getattr(native, "Invoke", loaded.invoke)


def compiled(models: Sequence[bytes | Verified], threads: int = 1) -> list[Any]:
    """Returns models in LiteRT's newer runtime, as `CompiledModel` each.

    They have one environment: the buffer of one's output can be another's
    input. `Harness` does not use them: docs/device.md has the measurement.

    Args:
        models: The .tflite files, verified here or before, without a file of
            their own.
        threads: CPU threads that an operator may use; 1 or more.

    Raises:
        ImportError: if no ai-edge-litert with a CompiledModel is installed.
        TypeError: as `Verified`.
        flatbuffer.InvalidModel: as `Verified`.
        Refused: if the runtime does not take a model.
        ValueError: as `Options`.
    """
    Options(threads=threads)
    checked = [
        each if isinstance(each, Verified) else Verified(each)
        for each in models
    ]
    native = importlib.import_module("ai_edge_litert.compiled_model")
    folder = os.path.dirname(str(native.__file__))
    environment = native.Environment.create(
        options=native.EnvironmentOptions(runtime_path=folder)
    )
    options = native.Options(
        hardware_accelerators=native.HardwareAccelerator.CPU,
        cpu_options=native.CpuOptions(num_threads=threads),
    )
    try:
        return [
            native.CompiledModel.from_buffer(
                each._data, environment=environment, options=options
            )
            for each in checked
        ]
    except (RuntimeError, ValueError) as error:
        raise Refused(
            f"`models` must be ones that CompiledModel takes. Received: {error}"
        ) from error


def find() -> None:
    """Imports the interpreter's package, as the first `load` does otherwise.

    Raises:
        ImportError: if no interpreter is installed.
    """
    _provider()


def _delegate(load_delegate: Callable[..., Any], options: Options) -> Any:
    try:
        # Of what is no delegate `load_delegate` leaves half an object, which
        # complains on stderr when it goes.
        library = ctypes.CDLL(options.delegate)
        for end in ("create", "destroy"):
            getattr(library, f"tflite_plugin_{end}_delegate")
        return load_delegate(options.delegate, dict(options.delegate_options))
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(
            "`delegate` must be a shared library with an external delegate "
            "that takes `delegate_options`. "
            f"Received: {options.delegate} ({error})"
        ) from error


def _provider() -> tuple:
    """Returns the interpreter's class, and the module of what belongs to it."""
    reasons = []
    for _, module, name, beside in _PROVIDERS:
        try:
            found = importlib.import_module(module)
            interpreter = operator.attrgetter(name)(found)
            extras = operator.attrgetter(beside)(found) if beside else found
        except (ImportError, AttributeError) as error:
            reasons.append(str(error))
        else:
            return interpreter, extras
    raise ImportError(
        "No TensorFlow Lite interpreter was found. Install one of "
        f"{', '.join(package for package, *_ in _PROVIDERS)}. "
        f"Tried: {'; '.join(reasons)}"
    )
