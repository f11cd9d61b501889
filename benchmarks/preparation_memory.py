"""Measures peak memory of preparing 50,000 and 1,000,000 small images.

    python benchmarks/preparation_memory.py OUTPUT.json [REPEATS]

The images are made up (source "synthetic", 32 x 32 pixels, raw), so that
nothing but preparation itself takes memory. Peaks are those of the whole
process on the local runner.
"""

import json
import pathlib
import statistics
import sys
import tempfile

import machine

from pipeline.storage import publishing

_COUNTS = (50_000, 1_000_000)


def main(output: str, repeats: str = "3") -> None:
    """Measures and writes the result to `output`."""
    script = str(pathlib.Path(__file__).with_name("prepared.py"))
    rows = []
    for count in _COUNTS:
        runs = []
        for _ in range(int(repeats)):
            with tempfile.TemporaryDirectory() as directory:
                data = pathlib.Path(directory, "data.json")
                source = {"images": count}
                data.write_text(
                    json.dumps(
                        {"source": "synthetic", "source_options": source}
                    )
                )
                command = [sys.executable, script, str(data)]
                runs.append(machine.child([*command, f"{directory}/out"]))
                print(count, runs[-1], flush=True)
        peaks = [run["process"]["peak_mib"] for run in runs]
        rows.append(
            {
                "images": count,
                "peak_mib": statistics.median(peaks),
                "peaks_mib": peaks,
                "images_per_s": count
                / statistics.median(run["seconds"] for run in runs),
                "cpu_s": statistics.median(
                    run["process"]["cpu_s"] for run in runs
                ),
            }
        )
    publishing.write_json(
        output,
        {
            "command": machine.command_line(),
            "runs": rows,
            "growth": rows[-1]["peak_mib"] / rows[0]["peak_mib"] - 1,
            "machine": machine.machine(),
            "versions": machine.versions(),
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
