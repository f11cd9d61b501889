"""Measures times and memory of the chain, and of the models beside it."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

from keras_dynamic import exits
from pipeline.benchmarking import entrants, timetable
from pipeline.data import augmentation, dataset
from pipeline.processes import heartbeat
from pipeline.results import (
    cost_table,
    metrics_file,
    origin,
    own_files,
    packages,
    predictions,
    stage_results,
    tables,
)
from pipeline.results.identity import identity
from pipeline.results.layout import Layout
from pipeline.results.stage_results import Results
from pipeline.storage import publishing
from tflite import bundle
from tflite.timing import cold_start, latency
from tflite.timing.latency import Times

_VERSIONS = ("keras-dynamic", "ai-edge-litert", "numpy", "onnxruntime")
_VERSIONS += ("tensorflow", "tf2onnx")
# What a new process runs after its first image.
_START_IMAGES = 32


def benchmark(config: ml_collections.ConfigDict, layout: Layout) -> Results:
    """Measures all contestants side by side, on test images, one at a time.

    Writes the directory `layout.benchmark`.

    Returns:
        The times with the first number of threads.

    Raises:
        ValueError: If one of `config.benchmark.others` cannot be timed, or the
            int8 model's results are not there.
    """
    settings = config.benchmark
    made_from = identity(layout, "benchmark")
    found = metrics_file.read_converted(layout.metrics)
    images = augmentation.center_crop(
        dataset.load(layout.data, "test").images, config.model.size
    )
    # What else the machine does, before this adds to it.
    load = os.getloadavg()[0]
    with publishing.published(layout.benchmark, own_files.BENCHMARK) as stage:
        stage.mkdir()
        heartbeat.note("making the models to compare with")
        entered, absent = entrants.enter(config, layout, stage, found, images)
        timed = {
            (each.name, threads): each.contestant(threads)
            for threads in settings.threads
            for each in entered
        }
        heartbeat.say(
            f"starting {len(timed)} contestants in {settings.starts} new "
            "processes each"
        )
        starts = {
            key: cold_start.measure(
                each, images[:_START_IMAGES], settings.starts
            )
            for key, each in timed.items()
        }
        heartbeat.say(
            f"timing them side by side, {settings.warmup} + {settings.runs} "
            "rounds"
        )
        rounds = latency.measure(
            {key: each.load() for key, each in timed.items()},
            images,
            warmup=settings.warmup,
            runs=settings.runs,
            seed=settings.seed,
        )
        opened = bundle.read(str(layout.bundle))
        first = settings.threads[0]
        times = {each.name: rounds.times[each.name, first] for each in entered}
        cost_table.write(
            stage / layout.costs.name, _costs(opened, times, first)
        )
        rows = _rows(settings.threads, entered, opened, rounds, starts)
        tables.write(
            stage / layout.benchmark_table.name, timetable.COLUMNS, rows
        )
        publishing.write_json(
            stage / layout.benchmark_json.name,
            {
                "format_version": 1,
                "config": config.name,
                "made_from": made_from,
                "settings": settings.to_dict(),
                "images": len(images),
                "measured": origin.here("benchmark"),
                "load_average": load,
                "versions": packages.versions(_VERSIONS),
                "ratios": timetable.ratios(rows),
                "absent": [dataclasses.asdict(each) for each in absent],
                "rows": rows,
            },
        )
    up_to = times["chain"].segments.cumsum(axis=1)[:, list(opened.ends)]
    said = predictions.load(layout.predictions, "test").logits
    routed = [
        {"mean_latency_ms": _mean_time(row["parameters"], said, rounds, up_to)}
        for row in found["routed"]
    ]
    return stage_results.keep(
        layout,
        "benchmark",
        {**_noted(times, up_to), "routed": routed},
        made_from,
    )


def _rows(threads, entered, opened, rounds, starts) -> list[dict[str, Any]]:
    """Returns all rows of the tables, in their order."""
    names = [each.file.removesuffix(".tflite") for each in opened.segments]
    return [
        row
        for count in threads
        for each in entered
        for row in timetable.of(
            each,
            count,
            rounds.times[each.name, count],
            starts[each.name, count],
            names if each.name == "chain" else (),
        )
    ]


def _noted(times: Mapping[str, Times], up_to: np.ndarray) -> dict[str, Any]:
    """Returns the times as metrics.json has them.

    The chain's overhead is its median at full depth over that of the unsplit
    model.

    Args:
        times: Times by the name of the contestant.
        up_to: Milliseconds of the chain up to each exit, [runs, K].
    """
    chain, unsplit = times["chain"], times["unsplit"]
    return {
        "exits": [
            {"latency_ms": latency.summary(column)} for column in up_to.T
        ],
        "segment_latency_ms": [
            latency.summary(column) for column in chain.segments.T
        ],
        "unsplit_latency_ms": latency.summary(unsplit.call),
        "chain_latency_ms": latency.summary(chain.call),
        "routed_latency_ms": latency.summary(times["routed"].call),
        "chain": {
            "overhead": float(np.median(chain.call) / np.median(unsplit.call))
        },
    }


def _costs(
    opened: bundle.Bundle, times: Mapping[str, Times], threads: int
) -> cost_table.CostTable:
    """Returns the medians of a bundle's segments, and of a decision.

    A segment's is over the rounds that ran it: gates leave some out.
    """
    chain, routed = times["chain"].segments, times["routed"]
    # Each round of the routed chain decides at the exits that it runs.
    decided = (routed.segments[:, list(opened.ends)] > 0).sum(axis=1)
    outside = routed.call - routed.segments.sum(axis=1)
    return cost_table.of(
        opened,
        [
            float(np.median(column[column > 0])) if column.any() else None
            for column in chain.T
        ],
        max(float(np.median(outside / np.maximum(decided, 1))), 0.0),
        f"threads: {threads}, processor: "
        f"{origin.here('benchmark')['processor']}",
    )


def _mean_time(policy, logits, rounds, up_to) -> float:
    """Returns the mean milliseconds of images up to the exits of a policy.

    The times are those of the full-depth runs, `up_to` each exit, [runs, K].
    """
    taken = exits.Policy.from_dict(policy).route(logits)[rounds.images]
    return float(up_to[np.arange(len(taken)), taken].mean())
