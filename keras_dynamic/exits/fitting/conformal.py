"""Fits one threshold to all early exits; the loss is kept on average."""

import itertools
from collections.abc import Sequence

import numpy as np

from keras_dynamic.exits.fitting.calibration import Calibration
from keras_dynamic.exits.fitting.fitted import Fitted
from keras_dynamic.exits.fitting.risk_control import LEVELS, RISKS, Levels
from keras_dynamic.exits.fitting.rule import Rule


def conformal(
    images: Calibration,
    epsilon: float,
    *,
    risk: str = RISKS[0],
    levels: Sequence[float] = LEVELS,
) -> Fitted:
    """Finds the cheapest policy whose risk is at most epsilon on average.

    The average is over the calibration images as well: the policies that many
    calibrations give lose at most epsilon per image, a single one may lose
    more. A level is allowed if, for N calibration images,

        N / (N + 1) * mean loss + 1 / (N + 1) <= epsilon

    ("Conformal Risk Control", Angelopoulos et al., ICLR 2024, equation 4 and
    theorem 1, with losses of at most 1). The theorem wants losses that never
    fall as the level gets looser, but ours can: an image that stops at a wrong
    exit may stop at a right one before it. So each image counts with its
    largest loss at any level that is as strict or stricter, and at the last
    exit, where it is 0 (section 2.4, corollary 1). Images that only an early
    exit gets right then make up for no others, as they do for `upper_bound`.
    "Fast yet Safe" takes the losses as they are and wants only the risk to
    grow (equation 2), which allows looser levels, but is not what the theorem
    proves.

    Args:
        images: The images, from `calibrate`; neither their temperatures nor
            their scheduler may have been fitted to them.
        epsilon: A fraction in [0, 1]; 0.005 is half a percentage point.
        risk: One of `RISKS`.
        levels: Decreasing numbers in [0, 1], chosen before looking at the
            images.

    Returns:
        The policy, with the facts that `Levels.loosest` lists.

    Raises:
        ValueError: If an argument is not as said.
    """
    tried = Levels(images, epsilon, risk, levels)

    def allowed(losses: np.ndarray) -> bool:
        inflated = (losses.sum(dtype=np.int64) + 1) / (losses.size + 1)
        return inflated <= epsilon

    largest = itertools.accumulate(
        (np.maximum(each, 0) for each in tried.losses()), np.maximum
    )
    return tried.loosest(
        largest,
        allowed,
        rule=RULE.name,
        promise=f"on average over calibrations {risk} is at most {epsilon:g}; "
        "that of this one may be more",
    )


RULE = Rule(
    fit=conformal,
    settings=("epsilon", "risk"),
    elsewhere="the loss is at most epsilon on average over calibrations",
    own_images=True,
)
