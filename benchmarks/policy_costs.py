"""Compares policies fitted in milliseconds with those in multiply-adds.

    python -m benchmarks.policy_costs WORKDIR > RESULT.json

WORKDIR is finished up to `benchmark`. Both kinds of policies are the frontier's
answers to budgets, solved on the calibration images; accuracy and mean
milliseconds are those of the test images, by the benchmark's median
milliseconds up to each exit.
"""

import json
import pathlib
import sys

import numpy as np

from keras_dynamic import exits
from pipeline.results import predictions
from pipeline.results.layout import Layout
from tflite import bundle

_SHARES = np.linspace(0.1, 1, 46)


def main() -> None:
    """Prints the comparison as JSON."""
    layout = Layout(pathlib.Path(sys.argv[1]))
    metrics = json.loads(layout.metrics.read_text())
    opened = bundle.read(str(layout.bundle))
    ms = [row["latency_ms"]["p50"] for row in metrics["exits"]]
    calibration, test = (
        predictions.load(layout.predictions, split)
        for split in ("calibration", "test")
    )

    def curve(costs):
        images = exits.calibrate(
            calibration.logits,
            calibration.labels,
            costs,
            opened.policy.temperatures,
        )
        rows = []
        for share in _SHARES:
            budget = costs[0] + share * (costs[-1] - costs[0])
            policy = exits.cost_budget(images, budget).policy
            got = exits.outcome(
                policy.route(test.logits), test.logits, test.labels, ms
            )
            rows.append([got.mean_cost, got.accuracy])
        return np.array(sorted(set(map(tuple, rows))))

    by_ms, by_madds = curve(ms), curve(opened.madds)
    rows = []
    for points in (0.0, 0.5, 1.0, 2.0, 5.0):
        goal = by_madds[:, 1].max() - points / 100
        least = [
            float(each[each[:, 1] >= goal, 0].min())
            if (each[:, 1] >= goal).any()
            else None
            for each in (by_ms, by_madds)
        ]
        rows.append(
            {
                "points_below_the_best": points,
                "accuracy": goal,
                "ms_fitted_in_ms": least[0],
                "ms_fitted_in_madds": least[1],
            }
        )
    result = {
        "images": len(test.labels),
        "exit_ms": ms,
        "madds": list(opened.madds),
        "rows": rows,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
