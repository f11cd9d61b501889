"""Writes what a finished working directory measured to one JSON file.

    python benchmarks/record.py WORKDIR FILE.json

The file holds the metrics, the configuration, the seconds of each stage, and
the machine and versions that they were measured with.
"""

import json
import pathlib
import sys

import machine

from pipeline.results import metrics_file
from pipeline.results.layout import Layout
from pipeline.stages import STAGES
from pipeline.storage import publishing


def main(directory: str, output: str) -> None:
    """Reads the working directory `directory` and writes `output`."""
    layout = Layout(pathlib.Path(directory))
    config = json.loads(layout.config.read_text())
    # Where the images lay on this machine is nobody else's business.
    config["data"]["source_options"].pop("path", None)
    measured = metrics_file.read(layout.metrics)
    for row in measured["routed"]:
        row.pop("parameters")
    publishing.write_json(
        output,
        {
            "metrics": measured,
            "config": config,
            "stage_seconds": _seconds(layout),
            "machine": machine.machine(),
            "versions": machine.versions(),
        },
    )


def _seconds(layout: Layout) -> dict[str, float]:
    seconds = {}
    for name in STAGES:
        mark = layout.stages / f"{name}.json"
        if mark.exists():
            seconds[name] = json.loads(mark.read_text()).get("seconds")
    return seconds


if __name__ == "__main__":
    main(*sys.argv[1:])
