"""Measures what policies with an allowed loss lose on images not fitted to.

    python benchmarks/policy_promise.py FILE.json WORKDIR_OR_LOGITS.npz ...
        [--draws=100] [--images=150,300,600,1000,5000] [--rules=NAME,NAME]

The logits of a finished working directory's int8 model on its calibration and
test images, none of which it was trained on, are the population, and so are
those of a file with `logits`, `labels` and `costs`. Each draw is of so many of
them, with replacement, to fit a policy to; the loss is over all. Rules:
`accuracy_drop`, the cheapest of all thresholds; `budgeted_drop`, the cheapest
of the papers' shares; `conformal`; and `promised_drop`. The last two are given
four fifths of the images, as `convert` does, which fits temperatures to the
others.
"""

import argparse
import functools
import json
import pathlib

import machine
import numpy as np

from keras_dynamic import exits
from pipeline.results import metrics_file, predictions
from pipeline.results.layout import Layout
from pipeline.storage import publishing

_DELTA = 0.1
_RULES = {
    "accuracy_drop": (exits.accuracy_drop, 1.0),
    "budgeted_drop": (exits.budgeted_drop, 1.0),
    "conformal": (exits.RULES["conformal"].fit, 0.8),
    "promised_drop": (
        functools.partial(exits.RULES["promised_drop"].fit, delta=_DELTA),
        0.8,
    ),
}
_DROPS = (0.005, 0.01)


def main() -> None:
    """Draws, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("populations", nargs="+", type=pathlib.Path)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--images", default="150,300,600,1000,5000")
    parser.add_argument("--rules", default=",".join(_RULES))
    arguments = parser.parse_args()
    rows, facts = [], []
    for path in arguments.populations:
        logits, labels, costs = _population(path)
        last = np.mean(logits[-1].argmax(-1) == labels)
        shown = [float(np.mean(each.argmax(-1) == labels)) for each in logits]
        facts.append(
            {"name": path.stem, "images": len(labels), "accuracy": shown}
        )
        temperatures = [
            exits.fit_temperature(each, labels).temperature for each in logits
        ]
        for images in map(int, arguments.images.split(",")):
            for row in _drawn(
                (logits, labels, costs, temperatures, last),
                images,
                arguments.draws,
                {each: _RULES[each] for each in arguments.rules.split(",")},
            ):
                rows.append({"population": path.stem, **row})
                print(json.dumps(rows[-1]), flush=True)
            # What has been drawn is kept, whatever becomes of the rest.
            publishing.write_json(
                arguments.output,
                {
                    "command": machine.command_line(),
                    "rows": rows,
                    "draws": arguments.draws,
                    "delta": _DELTA,
                    "populations": facts,
                    "machine": machine.machine(),
                    "versions": machine.versions(),
                },
            )


def _population(path):
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return arrays["logits"], arrays["labels"], arrays["costs"]
    layout = Layout(path)
    splits = [
        predictions.load(layout.predictions, name)
        for name in ("calibration", "test")
    ]
    found = metrics_file.read(layout.metrics)
    return (
        np.concatenate([each.logits for each in splits], axis=1),
        np.concatenate([each.labels for each in splits]),
        [row["madds"] for row in found["exits"]],
    )


def _drawn(population, images, draws, rules):
    """Yields a row per rule and loss, over all draws of so many images."""
    logits, labels, costs, temperatures, last = population
    found = {(rule, drop): [] for rule in rules for drop in _DROPS}
    for seed in range(draws):
        chosen = np.random.default_rng(seed).integers(len(labels), size=images)
        for rule, (fit, share) in rules.items():
            some = chosen[: round(share * images)]
            known = exits.calibrate(
                logits[:, some], labels[some], costs, temperatures
            )
            for drop in _DROPS:
                fitted = fit(known, drop)
                taken = fitted.policy.route(logits)
                got = exits.outcome(taken, logits, labels, costs)
                found[rule, drop].append(
                    (
                        last - got.accuracy,
                        got.mean_cost / costs[-1],
                        fitted.status,
                    )
                )
    for (rule, drop), values in found.items():
        lost, cost, statuses = zip(*values, strict=True)
        # A difference of two means: equal ones differ in the last bit.
        more = np.array(lost) > drop + 1e-9
        yield {
            "images": images,
            "rule": rule,
            "max_drop": drop,
            "lost_mean": float(np.mean(lost)),
            "lost_deviation": float(np.std(lost, ddof=1)),
            "lost_more": float(more.mean()),
            "cost_of_last_exit": float(np.mean(cost)),
            "statuses": {
                each: statuses.count(each) for each in sorted(set(statuses))
            },
        }


if __name__ == "__main__":
    main()
