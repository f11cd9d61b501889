"""Times the kernels of a bundle: its interpreters note how long they run."""

import time

from tflite.runtime import interpreter
from tflite.runtime.open_bundle import OpenBundle


class TimedBundle(OpenBundle):
    """Opens a bundle and tells the time in kernels from all other time.

    It times the threads of a harness together: use it from one.

    Args:
        path: Directory of a bundle, or a bundle.zip.
        options: How its models are run.

    Attributes:
        kernel_ms: Milliseconds that each segment's interpreter ran when it
            last did, [S]. Whoever reads them sets them to 0.0 first: a segment
            that is not reached leaves its own as they are.

    Raises:
        bundle.InvalidBundle: As `OpenBundle`.
        ValueError: As `OpenBundle`.
    """

    def __init__(self, path: str, options: interpreter.Options):
        super().__init__(path, options)
        self.kernel_ms = [0.0] * len(self.bundle.segments)

    def load(self, place: int):
        """Returns a new interpreter that holds a segment and notes its time."""
        return _Timed(super().load(place), self.kernel_ms, place)


class _Timed:
    """Wraps an interpreter and notes how long `invoke` took."""

    def __init__(self, loaded, kernel_ms: list[float], place: int):
        self._loaded = loaded
        self._invoke = loaded.invoke
        self._kernel_ms = kernel_ms
        self._place = place

    def __getattr__(self, name: str):
        return getattr(self._loaded, name)

    def invoke(self) -> None:
        start = time.perf_counter()
        self._invoke()
        self._kernel_ms[self._place] = 1e3 * (time.perf_counter() - start)
