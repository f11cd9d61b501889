"""Assesses a model's answers: every exit, and accuracy against cost.

The float and the int8 model are assessed alike. Confidences are the largest
probability at temperature 1, as in the papers; the policies that ship have
fitted temperatures, so that theirs differ a little.
"""

from collections.abc import Sequence

from keras_dynamic import exits
from keras_dynamic.exits.curves import curve, ranking
from keras_dynamic.exits.curves.curve import Answers, Curve
from pipeline.results import metrics_file
from pipeline.results.predictions import Predictions


def assess(
    kind: str,
    madds: Sequence[float],
    calibration: Predictions | None,
    test: Predictions,
) -> dict:
    """Returns the measures of one kind of the model on two splits.

    Accuracy, AUROC, AURC and the curves are of the test split; temperatures
    and thresholds are fitted on the calibration split.

    Args:
        kind: "float" or "int8".
        madds: Mean multiply-adds of an image up to each exit, [K].
        calibration: Predictions on the calibration split; None if it has no
            images: what needs them stays absent.
        test: Predictions of the same exits on the test split.

    Returns:
        "exits" and "curves" of metrics.json; see
        `pipeline.results.metrics_file`.
    """
    tested = curve.answers(test.logits, test.labels)
    ranked = [
        ranking.ranking(*each)
        for each in zip(tested.confidences, tested.right, strict=True)
    ]
    facts = {"accuracy": test.accuracies()} | {
        name: [getattr(each, name) for each in ranked]
        for name in ("auroc", "aurc", "excess_aurc")
    }
    fitted = None
    if calibration:
        fitted = curve.answers(calibration.logits, calibration.labels)
        facts |= _calibrated(calibration)
    return {
        "exits": metrics_file.exit_rows(kind, **facts),
        "curves": {kind: _curves(fitted, tested, madds)},
    }


def _calibrated(calibration: Predictions) -> dict[str, list]:
    """Returns accuracies and temperature fits on the calibration images."""
    fits = [
        exits.fit_temperature(logits, calibration.labels)
        for logits in calibration.logits
    ]
    return {"calibration_accuracy": calibration.accuracies()} | {
        name: [getattr(fit, attribute) for fit in fits]
        for name, attribute in (
            ("temperature", "temperature"),
            ("temperature_status", "status"),
            ("nll_before", "nll_before"),
            ("nll_after", "nll_after"),
        )
    }


def _curves(
    calibration: Answers | None, test: Answers, madds: Sequence[float]
) -> dict:
    each = curve.anytime(test, madds)
    chosen = calibration and curve.anytime(calibration, madds)
    found = {"anytime": _entry(each, chosen, curve.area(each))}
    # With a single exit there is nothing to sweep.
    if calibration and len(madds) > 1:
        fitted, swept = curve.budgeted(calibration, test, madds)
        area = curve.area(curve.closed(swept, each))
        found["budgeted_batch"] = _entry(swept, fitted, area)
    return found


def _entry(test: Curve, calibration: Curve | None, area: float | None) -> dict:
    points = []
    for i, target in enumerate(test.targets):
        point = {
            "target": target,
            "madds": test.costs[i],
            "accuracy": test.accuracies[i],
        }
        if calibration:
            point["calibration_madds"] = calibration.costs[i]
            point["calibration_accuracy"] = calibration.accuracies[i]
        points.append(point)
    return {"area": area, "points": points}
