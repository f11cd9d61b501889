"""Writes working directories for a report, without running a stage."""

import copy
import json

import numpy as np

from keras_dynamic.exits import Policy
from pipeline.data import tally
from pipeline.results import predictions
from pipeline.results.layout import Layout
from tests.support import prepared_data
from tflite import bundle

CLASSES = ["<b>zero</b>", 'o"ne', "tw'o", *"345678", "{{ nine }}"]
POLICY = Policy(
    temperatures=(1.5, 1.0, 0.8),
    thresholds=(0.6, 1.0, 0.0),
    enabled=(True, False, True),
)
METRICS = {
    "format_version": 1,
    "config": "ranet_digits",
    "model": "ranet & co",
    "dataset": {
        "train": 12345,
        "validation": 91,
        "calibration": 352,
        "test": 364,
        "rejected": 0,
    },
    "exits": [
        {
            "exit": k,
            "madds": madds,
            "params": params,
            "accuracy": {"float": top, "qat": top - 0.001, "int8": top - 0.01},
            "latency_ms": {
                "mean": 1.1 * ms,
                "p50": ms,
                "p90": 1.5 * ms,
                "p99": 2 * ms,
            },
        }
        for k, madds, params, top, ms in [
            (0, 876_543, 9_999, 0.90125, 0.0721),
            (1, 1_234_567, 123_456, 0.95, 0.1234),
            (2, 2_000_000_000, 999_999, 0.99, 0.3751),
        ]
    ],
    "routed": [
        {
            "policy": "accuracy_drop",
            "target": 0.5,
            "accuracy": 0.9751,
            "mean_madds": 1_111_111.5,
            "exit_shares": [0.75, 0.0, 0.25],
            "bundle": True,
        },
        {
            "policy": "budgeted_batch",
            "target": 0.7,
            "accuracy": 0.98,
            "mean_madds": 1_500_000.0,
            "exit_shares": [0.5, 0.3, 0.2],
        },
        {
            "policy": "budgeted_batch",
            "target": 0.1,
            "accuracy": 0.96,
            "mean_madds": 1_000_000.0,
            "exit_shares": [0.9, 0.1, 0.0],
            "parameters": {
                "thresholds": [0.75, 1.0, 0.0],
                "enabled": [True, False, True],
            },
        },
    ],
    "unsplit_latency_ms": {
        "mean": 0.36,
        "p50": 0.351,
        "p90": 0.4,
        "p99": 0.5,
    },
    "routed_latency_ms": {
        "mean": 0.2,
        "p50": 0.15,
        "p90": 0.3,
        "p99": 0.45,
    },
    "chain": {"samples": 364, "mismatches": 0, "overhead": 1.0687},
}
# Of the two splits that a report reads.
IMAGES = {"calibration": 150, "test": 120}


def write(root, policy=POLICY, classes=CLASSES) -> Layout:
    """Writes all that `report` reads.

    Args:
        root: The working directory, not existing yet.
        policy: Policy that ships; the deeper an exit, the better its answers.
        classes: Names of the classes.
    """
    layout = Layout(root)
    layout.data.mkdir(parents=True)
    rng = np.random.default_rng(0)
    said, members = {}, {}
    for split, count in IMAGES.items():
        labels = rng.integers(0, len(classes), count).astype(np.int32)
        pixels = rng.integers(0, 256, (count, 16, 16, 1), np.uint8)
        members[split] = pixels, labels
        said[split] = answers(rng, labels, policy.exits, len(classes))
    prepared_data.write(layout.data, members, labels=len(classes))
    _describe(layout, members, len(classes))
    predictions.save(layout.predictions, **said)
    layout.tflite_model.write_bytes(b"no model")
    write_bundle(layout, policy, classes)
    layout.metrics.write_text(json.dumps(METRICS))
    return layout


def answers(rng, labels, exits, classes) -> predictions.Predictions:
    """Returns logits of exits that improve with depth, [K, N, classes]."""
    logits = rng.normal(size=(exits, len(labels), classes))
    growth = np.linspace(2.5, 3.0, exits)[:, None]
    logits[:, np.arange(len(labels)), labels] += growth
    # As of an int8 model: steps of one size.
    return predictions.Predictions(labels, np.round(logits * 16) / 16)


def write_bundle(layout, policy, classes=CLASSES, **options) -> None:
    """Writes a bundle whose models are no models."""
    names = [f"logits_{k}" for k in range(policy.exits)]
    models = [str(k).encode() for k in range(policy.exits)]
    bundle.write(
        str(layout.bundle),
        name="digits",
        segments=[
            bundle.segment_facts(
                k,
                models[k],
                bundle.Wiring(
                    ("cut" if k else "image",),
                    (name,) if k else (name, "cut"),
                    exit=k,
                ),
                madds=k + 1,
                params=k + 1,
            )
            for k, name in enumerate(names)
        ],
        models=models,
        labels=classes,
        input=bundle.InputFacts((16, 16, 1)),
        policy=policy,
        provenance={
            "config": "ranet_digits",
            "model": "ranet",
            "versions": {"keras": "3.15.<0>"},
        },
        **options,
    )


def change_metrics(layout, change) -> None:
    """Lets a function change the metrics."""
    metrics = copy.deepcopy(METRICS)
    change(metrics)
    layout.metrics.write_text(json.dumps(metrics))


def _describe(layout, members, classes) -> None:
    """Adds to the manifest what `prepare` says of the images."""
    path = layout.data / "manifest.json"
    described = json.loads(path.read_text())
    described |= {
        "source": "noise",
        "storage": "raw",
        "listed": 1797,
        "duplicates": {"copies": 0, "dropped": 0, "conflicting": 0},
        "statistics": {},
    }
    for split, (pixels, labels) in members.items():
        counter = tally.Counter(1)
        for image, label in zip(pixels, labels.tolist(), strict=True):
            counter.add(image, label, 8, 8)
        described["statistics"][split] = tally.describe(
            counter.tally(), classes
        )
    path.write_text(json.dumps(described))
