"""Makes up the measurements of a benchmark."""

import numpy as np

from pipeline.benchmarking import timetable
from pipeline.benchmarking.entrants import Entrant
from pipeline.results.identity import identity
from pipeline.storage import publishing
from tflite.timing.cold_start import Start
from tflite.timing.latency import Times

ALL = ("chain", "routed", "unsplit", "static", "float", "onnx")


def entrant(name: str) -> Entrant:
    return Entrant(name, "tflite", "/somewhere", f"about {name}", 0.5)


def times(mean: float, segments: int = 1) -> Times:
    """Returns calls of about `mean` milliseconds, a quarter of it no kernel."""
    call = mean * np.linspace(0.5, 1.5, 101)
    each = np.tile(call[:, None] / segments, segments)
    return Times(call, 0.75 * call, each, 0.75 * each)


def start(mib: float) -> Start:
    return Start(load_ms=1.0, first_ms=2.0, base_mib=30.0, peak_mib=mib)


def rows(*names: str) -> list[dict]:
    """Returns rows of `names` on one and two threads, the chain by segments."""
    return [
        row
        for threads in (1, 2)
        for i, name in enumerate(names, start=1)
        for row in timetable.of(
            entrant(name),
            threads,
            times(i / threads, 2 if name == "chain" else 1),
            start(10.0 * i),
            ("exit_0", "exit_1") if name == "chain" else (),
        )
    ]


def document(*names: str) -> dict:
    """Returns the content of benchmark.json that its readers need."""
    made = rows(*names)
    return {
        "settings": {"runs": 101, "starts": 5},
        "measured": {"processor": "<made up>", "cores": 2},
        "load_average": 1.5,
        "ratios": timetable.ratios(made),
        "absent": [
            {"name": each, "reason": "not <here>"}
            for each in ALL
            if each not in names
        ],
        "rows": made,
    }


def write(layout, *names: str) -> None:
    """Writes the benchmark.json of the bundle that is there."""
    about = {"made_from": identity(layout, "benchmark")}
    publishing.write_json(layout.benchmark_json, document(*names) | about)
