"""Times the kernels of a bundle: its interpreters note how long they run."""

import time
from collections.abc import Callable
from typing import Any

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

    def runner(self, loaded: Any, place: int) -> Callable[[], None]:
        """Returns what runs a segment, and notes its time."""
        run, kernel_ms = super().runner(loaded, place), self.kernel_ms
        clock = time.perf_counter

        def timed() -> None:
            start = clock()
            run()
            kernel_ms[place] = 1e3 * (clock() - start)

        return timed
