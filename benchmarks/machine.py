"""Tells what something was measured with, and what a process used."""

import json
import os
import pathlib
import platform
import subprocess
import sys
import time
from collections.abc import Sequence

from pipeline.results import packages

_PACKAGES = (
    "ai-edge-litert",
    "apache-beam",
    "keras",
    "numpy",
    "pillow",
    "tensorflow",
    "tensorflow-datasets",
    "tensorflow-model-optimization",
    "tf-keras",
    "tflite-support",
)


def machine() -> dict:
    """Returns processor, cores, system and Python."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Returns the versions of the packages that are installed."""
    found = packages.versions(_PACKAGES)
    return {name: version for name, version in found.items() if version}


def child(command: Sequence[str]) -> dict:
    """Runs a command; returns its last line, parsed as JSON, and its use.

    Returns:
        The JSON object with "process": {"wall_s", "cpu_s", "peak_mib"} of the
        whole process and those that it waited for; the peak is that of the
        largest process.

    Raises:
        RuntimeError: If the command fails.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    result = json.loads(output.decode().strip().splitlines()[-1])
    result["process"] = {
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
    }
    return result


def command_line() -> str:
    """Returns the command that is running, without its directory."""
    script = pathlib.Path(sys.argv[0]).name
    return " ".join(["python", f"benchmarks/{script}", *sys.argv[1:]])


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line for line in lines if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.machine()
