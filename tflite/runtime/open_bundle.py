"""Opens a bundle for all threads that run it."""

import os
import threading
from collections.abc import Callable
from typing import Any

from tflite import bundle
from tflite.runtime import interpreter

# Of the files of all segments loaded, and of what each may need to run. The
# RANet "model1" for CIFAR-10 has 8 MB.
MAX_MEMORY_BYTES = 2**29


class OpenBundle:
    """Holds a bundle; reads and checks each model once for all threads.

    Interpreters are not shared: none may be run by two threads at once.
    Segments are bounded one by one (`interpreter.Verified`) and together: a
    thread that holds them all needs at most `MAX_MEMORY_BYTES`, files included.

    Args:
        path: Directory of a bundle, or a bundle.zip.
        options: How its models are run.

    Attributes:
        bundle: Its manifest and labels.

    Raises:
        bundle.InvalidBundle: if the manifest or the labels are not sound.
        ValueError: if `options` ask for memory mapping where there is none: of
            a bundle.zip, as interpreters map whole files, or on a system
            without /dev/fd.
    """

    def __init__(self, path: str, options: interpreter.Options):
        if options.memory_mapped and (
            os.path.isfile(path) or not os.path.isdir("/dev/fd")
        ):
            raise ValueError(
                "`memory_mapped` must be False for a bundle.zip, and where "
                f"there is no /dev/fd. Received: True for {path}"
            )
        self.bundle = bundle.read(path)
        self._options = options
        self._lock = threading.Lock()
        self._models: dict[int, interpreter.Verified] | None = {}
        self._memory = 0

    def load(self, place: int) -> Any:
        """Returns a new interpreter that holds a segment.

        Args:
            place: Of the segment in the chain.

        Raises:
            bundle.InvalidBundle: if it is not what the manifest says, or the
                interpreter does not take it.
            flatbuffer.InvalidModel: if it is not a sound model.
            ValueError: if the bundle was closed.
        """
        with self._lock:
            if self._models is None:
                raise ValueError("the bundle must be open. Received: closed")
            if place not in self._models:
                self._models[place] = self._checked(place)
            try:
                return interpreter.load(self._models[place], self._options)
            except interpreter.Refused as error:
                raise bundle.InvalidBundle(str(error)) from error

    def runner(self, loaded: Any, place: int) -> Callable[[], None]:
        """Returns what runs a segment that `load` returned.

        Args:
            loaded: The interpreter.
            place: Of the segment in the chain.
        """
        del place  # For those who measure.
        return interpreter.runner(loaded)

    def close(self) -> None:
        """Lets go of models and files; what interpreters hold they keep."""
        with self._lock:
            for model in (self._models or {}).values():
                model.close()
            self._models = None

    def _checked(self, place: int) -> interpreter.Verified:
        name, file = self.bundle.segments[place].file, None
        if self._options.memory_mapped:
            file, data = self.bundle.open_model(place)
        else:
            data = self.bundle.model(place)
        try:
            model = interpreter.Verified(
                data, name, file, strict=self._options.strict
            )
            needed = self._memory + model.memory
            if needed > MAX_MEMORY_BYTES:
                raise bundle.InvalidBundle(
                    f"the segments up to `{name}` must need at most "
                    f"{MAX_MEMORY_BYTES} bytes. Received: {needed}"
                )
        except ValueError:
            if file is not None:
                file.close()
            raise
        self._memory = needed
        return model
