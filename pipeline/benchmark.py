"""Milliseconds of every segment, of the chain and of the unsplit model."""

import ml_collections
import numpy as np
from absl import logging

from keras_dynamic import exits
from pipeline import augmentation, dataset, metrics, predictions
from pipeline.layout import Layout
from tflite import latency
from tflite.harness import Harness
from tflite.unsplit import Unsplit


def benchmark(config: ml_collections.ConfigDict, layout: Layout) -> None:
    """Times them in turn, in one run, on test images, one at a time.

    The chain's overhead is its median at full depth over that of the unsplit
    model. The mean milliseconds of a policy are those that its images took up
    to their exits, in the full-depth runs.
    """
    settings = config.benchmark
    found = metrics.read(layout.metrics)
    images = augmentation.center_crop(
        dataset.load(layout.data, "test").images, config.model.size
    )
    with Harness(str(layout.bundle), threads=settings.threads) as harness:
        times = latency.measure(
            harness,
            Unsplit(layout.tflite_model.read_bytes(), settings.threads),
            images,
            warmup=settings.warmup,
            runs=settings.runs,
        )
        ends = list(harness.bundle.ends)
    up_to = times.segments.cumsum(axis=1)[:, ends]
    for k, row in enumerate(found["exits"]):
        row["latency_ms"] = latency.summary(up_to[:, k])
    found["segment_latency_ms"] = [
        latency.summary(column) for column in times.segments.T
    ]
    found["unsplit_latency_ms"] = latency.summary(times.unsplit)
    found["chain_latency_ms"] = latency.summary(times.chain)
    found["routed_latency_ms"] = latency.summary(times.routed)
    overhead = float(np.median(times.chain) / np.median(times.unsplit))
    found["chain"] = {**found.get("chain", {}), "overhead": overhead}

    logits = predictions.load(layout.predictions, "test").logits
    for row in found["routed"]:
        taken = exits.Policy.from_dict(row["parameters"]).route(logits)
        taken = taken[times.images]
        spent = up_to[np.arange(len(taken)), taken]
        row["mean_latency_ms"] = float(spent.mean())
    metrics.write(layout.metrics, found)
    logging.info(
        "p50: chain %.3f ms, unsplit %.3f ms (ratio %.3f), routed %.3f ms",
        np.median(times.chain),
        np.median(times.unsplit),
        overhead,
        np.median(times.routed),
    )
