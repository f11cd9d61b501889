"""Fits thresholds to an accuracy that new images keep, too, very likely.

`accuracy_drop` and `budgeted_drop` choose what looks best on some images, and
what they lose on others is mostly more. Here a policy is taken only if the
images show that it loses no more than it may, by a test that is wrong with a
probability that was chosen before.
"""

import numpy as np

from keras_dynamic.exits.fitting import single_exit
from keras_dynamic.exits.fitting.accuracy_drop import check_drop
from keras_dynamic.exits.fitting.calibration import Calibration
from keras_dynamic.exits.fitting.conformal import conformal
from keras_dynamic.exits.fitting.fitted import Fitted
from keras_dynamic.exits.fitting.rule import Rule
from keras_dynamic.exits.fitting.upper_bound import (
    check_delta,
    is_below,
    shuffled,
    upper_bound,
)

# Of the probability to be wrong, the share for the exits by themselves. An
# exit that beats the last one does so by far, and needs little of it.
_SINGLE = 0.1
# Images beyond which nobody is told how many would be enough.
_MOST = 2**22


def promised_drop(images: Calibration, max_drop: float, delta: float) -> Fitted:
    """Finds a cheap policy that very likely loses at most `max_drop` elsewhere.

    The policies are those of `upper_bound`, one threshold for all early exits,
    tested from the strictest on with nine tenths of `delta`; and each early
    exit alone, for all images, with an equal part of the last tenth. Any that
    is taken by mistake has passed a test that it should have failed, which
    happens with a probability of at most `delta` in all. The cheapest of those
    that pass is taken.

    Where these images are too few to show it of any policy, even of one that
    loses nothing, a weaker promise takes its place, that of `conformal` with
    the same loss: it is kept on average over calibrations, and this one may
    lose more. The status is "kept_on_average". Where they are too few for that
    as well, or enough and no policy passes, every image goes to the last exit.
    The promise says which it is, and how many images would do for what was
    asked.

    Args:
        images: The images, from `calibrate`; neither their temperatures nor
            their scheduler may have been fitted to them.
        max_drop: A fraction in [0, 1]; 0.005 is half a percentage point.
        delta: A probability in (0, 1).

    Returns:
        The policy; the fact "promise" says what holds on other images.

    Raises:
        ValueError: If an argument is not as said.
    """
    check_drop(max_drop)
    check_delta(delta)
    shared = upper_bound(images, max_drop, (1 - _SINGLE) * delta)
    asked = {"rule": RULE.name, "max_drop": max_drop, "delta": delta}
    promise = (
        f"with probability {1 - delta:g} new images lose at most "
        f"{100 * max_drop:g} points of the last exit's accuracy"
    )
    passed = _passing_exit(images, max_drop, _SINGLE * delta)
    if passed is not None and images.costs[passed] < shared.facts["mean_cost"]:
        return single_exit.at_exit(
            images, passed, **asked, status="controlled", promise=promise
        )
    count = len(images.labels)
    if shared.status == "controlled" or _can_show(count, max_drop, delta):
        return _told(images, shared, promise, **asked)
    short = (
        f"{count} images cannot show it with probability {1 - delta:g}, "
        f"{_enough(count, max_drop, delta)}"
    )
    weaker = conformal(images, max_drop)
    if weaker.status == "controlled":
        return _told(
            images,
            weaker,
            "on average over calibrations, this one may lose more, new images "
            f"lose at most {100 * max_drop:g} points of the last exit's "
            f"accuracy; {short}",
            **asked,
            status="kept_on_average",
        )
    return _told(
        images,
        weaker,
        "every image goes to the last exit, of whose accuracy nothing is "
        f"lost; of an early one that loses at most {100 * max_drop:g} points "
        f"{short}",
        **asked,
        status="too_few_images",
    )


def _told(
    images: Calibration, found: Fitted, promise: str, **asked: str | float
) -> Fitted:
    """Returns a policy of shared levels with what this rule says of it."""
    own = found.facts
    level = {"level": own["level"]} if "level" in own else {}
    lost = own["calibration_risk"]
    return images.fitted(
        found.policy.thresholds,
        found.policy.enabled,
        **{"status": found.status, **asked},
        **level,
        promise=promise,
        accuracy=float(images.right[-1].mean() - lost),
        mean_cost=own["mean_cost"],
    )


def _passing_exit(
    images: Calibration, max_drop: float, delta: float
) -> int | None:
    """Returns the cheapest early exit that loses no more by itself, if any."""
    right = images.right.astype(np.int8)[:, shuffled(len(images.labels))]
    early = len(right) - 1
    for exit in range(early):
        if is_below(right[-1] - right[exit], max_drop, delta / early):
            return exit
    return None


def _can_show(count: int, max_drop: float, delta: float) -> bool:
    """Tells whether so many images show that a policy without loss has none."""
    return is_below(np.zeros(count), max_drop, (1 - _SINGLE) * delta)


def _enough(count: int, max_drop: float, delta: float) -> str:
    """Says, to one part in eight, how many images would be enough."""
    while count < _MOST:
        count += max(1, count // 8)
        if _can_show(count, max_drop, delta):
            return f"{count} could"
    return "and no number of images could"


RULE = Rule(
    fit=promised_drop,
    settings=("max_drop", "delta"),
    elsewhere="loses no more with probability 1 - delta, if the images suffice",
    own_images=True,
)
