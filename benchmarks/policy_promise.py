"""Measures what policies with an allowed loss lose on images not fitted to.

    python benchmarks/policy_promise.py WORKDIR FILE.json [--draws=20]

The logits of a finished working directory's int8 model on its calibration and
test images, none of which it was trained on, are pooled; in each draw some are
for fitting and the others for trying. Two rules: `accuracy_drop`, the cheapest
of all thresholds, and `budgeted_drop`, the cheapest of the papers' shares.
"""

import argparse
import json
import pathlib

import machine
import numpy as np

from keras_dynamic import exits
from pipeline.results import metrics_file, predictions
from pipeline.results.layout import Layout
from pipeline.storage import publishing

_RULES = {
    "accuracy_drop": exits.accuracy_drop,
    "budgeted_drop": exits.budgeted_drop,
}
_DROPS = (0.005, 0.01, 0.02)
_IMAGES = (1000, 2500, 5000)


def main() -> None:
    """Draws, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--draws", type=int, default=20)
    arguments = parser.parse_args()
    layout = Layout(arguments.workdir)
    splits = [
        predictions.load(layout.predictions, name)
        for name in ("calibration", "test")
    ]
    logits = np.concatenate([each.logits for each in splits], axis=1)
    labels = np.concatenate([each.labels for each in splits])
    found = metrics_file.read(layout.metrics)
    costs = [row["madds"] for row in found["exits"]]
    temperatures = [row["temperature"]["int8"] for row in found["exits"]]
    rows = []
    for images in _IMAGES:
        beyond = {(rule, drop): [] for rule in _RULES for drop in _DROPS}
        for seed in range(arguments.draws):
            order = np.random.default_rng(seed).permutation(len(labels))
            fitting, others = order[:images], order[images:]
            known = exits.calibrate(
                logits[:, fitting], labels[fitting], costs, temperatures
            )
            tried = logits[:, others], labels[others]
            last = np.mean(tried[0][-1].argmax(-1) == tried[1])
            for rule, drop in beyond:
                policy = _RULES[rule](known, drop).policy
                got = exits.outcome(policy.route(tried[0]), *tried, costs)
                beyond[rule, drop].append(
                    (last - got.accuracy, got.mean_cost / costs[-1])
                )
        for (rule, drop), values in beyond.items():
            lost, cost = np.transpose(values)
            rows.append(
                {
                    "images": images,
                    "rule": rule,
                    "max_drop": drop,
                    "lost_mean": float(lost.mean()),
                    "lost_deviation": float(lost.std(ddof=1)),
                    "lost_more": float(np.mean(lost > drop)),
                    "cost_of_last_exit": float(cost.mean()),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    publishing.write_json(
        arguments.output,
        {
            "rows": rows,
            "draws": arguments.draws,
            "pool": len(labels),
            "machine": machine.machine(),
            "versions": machine.versions(),
        },
    )


if __name__ == "__main__":
    main()
