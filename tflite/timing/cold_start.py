"""Measures a contestant before it is warm, each time in a new process."""

import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from tflite.timing.contestants import Contestant


@dataclasses.dataclass(frozen=True)
class Start:
    """Describes a start in a process with numpy, the runtime and nothing else.

    Attributes:
        load_ms: Milliseconds to read its files and make it ready; imports are
            not counted.
        first_ms: Milliseconds of its first call. The chain loads a segment
            when an image first gets there: all but the first one in this call.
        base_mib: Largest resident memory of the process before it loads, MiB:
            Python and the runtime.
        peak_mib: Largest resident memory after some calls, MiB.
    """

    load_ms: float
    first_ms: float
    base_mib: float
    peak_mib: float


def measure(contestant: Contestant, images: np.ndarray, times: int) -> Start:
    """Starts a contestant in new processes, one after the other.

    Args:
        contestant: Whom to start.
        images: Some to run, uint8 [N, H, W, C].
        times: Number of processes.

    Returns:
        The median of each number.

    Raises:
        ValueError: If one fails.
    """
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "images.npy"
        np.save(file, images)
        asked = {**dataclasses.asdict(contestant), "images": str(file)}
        found = [_in_a_process(asked) for _ in range(times)]
    return Start(
        **{
            each.name: float(np.median([one[each.name] for one in found]))
            for each in dataclasses.fields(Start)
        }
    )


def _in_a_process(asked: dict) -> dict:
    # -P: the working directory may have a `tflite` of its own.
    done = subprocess.run(
        [sys.executable, "-P", "-m", __name__],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ValueError(
            f"{asked['path']} must run in a process of its own. Received: "
            f"{(done.stderr.strip().splitlines() or ['no message'])[-1]}"
        )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measures the contestant on the standard input once; prints the result."""
    asked = json.load(sys.stdin)
    images = np.load(asked.pop("images"))
    contestant = Contestant(**asked)
    contestant.find_runtime()
    base = _peak_mib()
    start = time.perf_counter()
    run = contestant.load()
    loaded = time.perf_counter()
    run(images[0])
    first = time.perf_counter()
    for image in images:
        run(image)
    found = Start(
        load_ms=1e3 * (loaded - start),
        first_ms=1e3 * (first - loaded),
        base_mib=base,
        peak_mib=_peak_mib(),
    )
    print(json.dumps(dataclasses.asdict(found)))


def _peak_mib() -> float:
    """Returns the largest resident memory of this process so far, in MiB."""
    try:
        text = pathlib.Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 2**10
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return unit * usage.ru_maxrss / 2**20
    # Not ru_maxrss, which on Linux begins at what the parent had in memory.
    [line] = [each for each in text.splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) / 2**10


if __name__ == "__main__":
    main()
