"""Compares images per second of the scoring pipeline with a plain loop.

    python benchmarks/scoring.py --bundle=DIR --data=FILES OUTPUT.json [REPEATS]

FILES is a pattern of TFRecords, such as those of a prepared test split,
"data/test-*.tfrecord". All variants open the bundle and read the same images:

- one: a loop over `Harness`, one image at a time;
- loop: `BatchHarness`, batches of 64, all images in one array;
- pipeline: `keras-dynamic score` in this process on FnApiRunner, which also
  writes its rows as TFRecord, and counts.

Each run is a process of its own; the three take turns. Seconds are without
imports.
"""

import argparse
import glob
import json
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import machine
import numpy as np

from pipeline.storage import publishing

_BATCH = 64


def main() -> None:
    """Runs all and writes the result, or runs one and prints what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--only", choices=_VARIANTS)
    parser.add_argument("output", nargs="?")
    parser.add_argument("repeats", nargs="?", type=int, default=3)
    given = parser.parse_args()
    if given.only:
        _only(given.only, given.bundle, given.data)
        return
    runs = {name: [] for name in _VARIANTS}
    for _ in range(given.repeats):
        for name, measured in runs.items():
            command = [sys.executable, __file__, "--only", name]
            sources = ["--bundle", given.bundle, "--data", given.data]
            measured.append(machine.child([*command, *sources]))
            print(name, measured[-1], flush=True)
    table = {name: _middle(measured) for name, measured in runs.items()}
    shares = {name: each.pop("exit_shares") for name, each in table.items()}
    if len(set(map(tuple, shares.values()))) > 1:
        raise RuntimeError(f"Images stopped at different exits: {shares}")
    pipeline, loop = table["pipeline"], table["loop"]
    publishing.write_json(
        given.output,
        {
            "command": "python benchmarks/scoring.py --bundle=DIR --data=FILES "
            f"OUTPUT {given.repeats}",
            "images": runs["loop"][0]["images"],
            "batch": _BATCH,
            "exit_shares": shares["loop"],
            "variants": table,
            "pipeline_to_loop": pipeline["images_per_s"] / loop["images_per_s"],
            "pipeline_to_loop_cpu": pipeline["images_per_cpu_s"]
            / loop["images_per_cpu_s"],
            "machine": machine.machine(),
            "versions": machine.versions(),
        },
    )


def _middle(measured: list[dict]) -> dict:
    """Returns the medians of several runs of one variant."""
    count = measured[0]["images"]
    seconds, cpu, peak = (
        statistics.median(values)
        for values in (
            [run["seconds"] for run in measured],
            [run["cpu_s"] for run in measured],
            [run["process"]["peak_mib"] for run in measured],
        )
    )
    return {
        "images_per_s": count / seconds,
        "images_per_cpu_s": count / cpu,
        "cpu_ms_per_image": 1e3 * cpu / count,
        "seconds": [run["seconds"] for run in measured],
        "cpu_s": [run["cpu_s"] for run in measured],
        "peak_mib": peak,
        "exit_shares": measured[0]["exit_shares"],
    }


def _only(name: str, bundle: str, data: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        work = _VARIANTS[name](bundle, data, pathlib.Path(directory))
        start, cpu = time.perf_counter(), time.process_time()
        stopped = work()
        taken = {
            "seconds": time.perf_counter() - start,
            "cpu_s": time.process_time() - cpu,
        }
    shares = [int(n) / int(sum(stopped)) for n in stopped]
    print(
        json.dumps(
            {"images": int(sum(stopped)), "exit_shares": shares, **taken}
        )
    )


def _images(data: str) -> np.ndarray:
    from pipeline.data import record
    from pipeline.storage import tfrecord_file

    images = []
    for path in sorted(glob.glob(data)):
        with open(path, "rb") as file:
            images += [
                record.decode(each).pixels()
                for _, each in tfrecord_file.scan(file)
            ]
    return np.stack(images)


def _one(bundle: str, data: str, directory: pathlib.Path) -> Callable:
    from tflite.runtime.harness import Harness

    def work() -> np.ndarray:
        with Harness(bundle) as harness:
            exits = [harness.classify(each).exit for each in _images(data)]
            return np.bincount(exits, minlength=len(harness.bundle.ends))

    return work


def _loop(bundle: str, data: str, directory: pathlib.Path) -> Callable:
    from tflite.runtime.batch_harness import BatchHarness

    def work() -> np.ndarray:
        harness = BatchHarness(bundle, _BATCH)
        exits = harness.run(_images(data)).exits
        return np.bincount(exits, minlength=len(harness.bundle.ends))

    return work


def _pipeline(bundle: str, data: str, directory: pathlib.Path) -> Callable:
    import apache_beam as beam

    from pipeline.beam import runners
    from pipeline.scoring import score_images

    def work() -> list[int]:
        output = str(directory / "scores")
        job = score_images.Job(bundle, [data], output, batch_size=_BATCH)
        pipeline = beam.Pipeline(options=runners.options([]))
        score_images.build(pipeline, job)
        runners.wait(pipeline)
        summary = json.loads(pathlib.Path(job.summary).read_text())
        return [row["images"] for row in summary["exits"]]

    return work


_VARIANTS = {"one": _one, "loop": _loop, "pipeline": _pipeline}

if __name__ == "__main__":
    main()
