"""Compares a policy with stopping every image at one of the exits."""

from keras_dynamic.exits.decision.outcome import tally
from keras_dynamic.exits.decision.policy import DISABLED_THRESHOLD, Policy
from keras_dynamic.exits.fitting.calibration import Calibration
from keras_dynamic.exits.fitting.fitted import Fitted


def at_exit(
    images: Calibration, exit: int, **facts: str | bool | float
) -> Fitted:
    """Returns the policy that stops every image at one exit.

    Args:
        images: The images, from `calibrate`.
        exit: The exit, from 0.
        **facts: The rule and its settings; the exit, and accuracy and mean
            cost on these images, are added.
    """
    last = len(images.costs) - 1
    enabled = [k in (exit, last) for k in range(last + 1)]
    return images.fitted(
        [0.0 if on else DISABLED_THRESHOLD for on in enabled],
        enabled,
        **facts,
        exit=exit,
        accuracy=float(images.right[exit].mean()),
        mean_cost=float(images.costs[exit]),
    )


def better_exit(images: Calibration, policy: Policy) -> int | None:
    """Returns the exit that alone beats a policy, None if there is none.

    It is the most accurate one of those that are more accurate on these images
    and cost no more than the policy there.

    Args:
        images: The images, from `calibrate`.
        policy: The policy.
    """
    got = tally(policy.route(images.logits), images.right, images.costs)
    shares = images.right.mean(axis=1)
    beaten = [
        exit
        for exit, cost in enumerate(images.costs)
        if cost <= got.mean_cost and shares[exit] > got.accuracy
    ]
    return max(beaten, key=lambda exit: shares[exit], default=None)
