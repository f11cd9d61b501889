"""Tells the command, the machine and the time of a stage."""

import datetime
import os
import pathlib
import platform
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from pipeline.storage import json_file


def here(stage: str) -> dict[str, Any]:
    """Returns the command, the machine and the time of this process, as JSON.

    Args:
        stage: Stage that the process has done.

    Returns:
        "stage";
        "command"; "finished", the time now, UTC; "processor", "cores",
        "memory_gib" (None where the system does not tell), "system", "python".
    """
    now = datetime.datetime.now(datetime.UTC)
    return {
        "stage": stage,
        "command": shlex.join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]),
        "finished": now.isoformat(" ", "seconds").removesuffix("+00:00"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def read(marks: pathlib.Path, order: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the marks of finished stages, the oldest first.

    Args:
        marks: Directory of a JSON file per stage. Those of earlier releases
            say no more than "seconds".
        order: Order of stages whose marks do not tell, or tell the same second.
    """
    found = [
        {"stage": path.stem, **json_file.read(path)}
        for stage in order
        if (path := marks / f"{stage}.json").exists()
    ]
    return sorted(found, key=lambda each: each.get("finished", ""))


def _processor() -> str:
    """Returns the processor's name, or its architecture if Linux tells none."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return None
    return round(size / 2**30, 1)
