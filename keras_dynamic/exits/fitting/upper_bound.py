"""Fits one threshold to all early exits; the loss is very likely kept."""

import math
from collections.abc import Sequence

import numpy as np

from keras_dynamic.exits.fitting.calibration import Calibration
from keras_dynamic.exits.fitting.fitted import Fitted
from keras_dynamic.exits.fitting.risk_control import LEVELS, RISKS, Levels
from keras_dynamic.exits.fitting.rule import Rule


def upper_bound(
    images: Calibration,
    epsilon: float,
    delta: float,
    *,
    risk: str = RISKS[0],
    levels: Sequence[float] = LEVELS,
) -> Fitted:
    """Finds the cheapest policy whose risk is very likely at most epsilon.

    The risk of the policy exceeds epsilon with a probability of at most delta,
    the probability of unlucky calibration images.

    Levels are tested from the strictest on until the upper confidence bound of
    one exceeds epsilon; the one before is taken. This is fixed-sequence
    testing ("Learn then Test", Angelopoulos et al. 2021): only the first level
    that is too risky can do harm, hence no correction for their number, and
    the risk need not grow from one level to the next. The bound is that of
    Waudby-Smith and Ramdas, which `_stakes` explains.

    Args:
        images: The images, from `calibrate`; neither their temperatures nor
            their scheduler may have been fitted to them.
        epsilon: A fraction in [0, 1]; 0.005 is half a percentage point.
        delta: A probability in (0, 1); "Fast yet Safe" takes 0.1.
        risk: One of `RISKS`.
        levels: Decreasing numbers in [0, 1], chosen before looking at the
            images.

    Returns:
        The policy, with the facts that `Levels.loosest` lists.

    Raises:
        ValueError: If an argument is not as said.
    """
    check_delta(delta)
    tried = Levels(images, epsilon, risk, levels)
    order = shuffled(len(images.labels))
    return tried.loosest(
        (losses[order] for losses in tried.losses()),
        lambda losses: is_below(losses, epsilon, delta),
        rule=RULE.name,
        delta=delta,
        promise=f"with probability {1 - delta:g} {risk} is at most {epsilon:g}",
    )


def check_delta(delta: float) -> None:
    """Raises a ValueError if `delta` is no probability between 0 and 1."""
    if not 0.0 < delta < 1.0:
        raise ValueError(f"`delta` must lie in (0, 1). Received: {delta}")


def shuffled(images: int) -> np.ndarray:
    """Returns places in a random order, always the same, int [N].

    Bets are made on one image after the other, and only in an order that tells
    nothing about them; stored images are often sorted.
    """
    return np.random.default_rng(0).permutation(images)


def is_below(losses: np.ndarray, risk: float, delta: float) -> bool:
    """Tells whether losses show that the expected loss is below a risk.

    Where it is not, this is true with a probability of at most delta.

    Args:
        losses: Numbers of at most 1, [N], in random order.
        risk: A number of at least 0.
        delta: A probability in (0, 1).
    """
    stakes = _stakes(losses, delta)
    with np.errstate(divide="ignore"):  # A bet may lose everything.
        wealth = np.cumsum(np.log1p(-stakes * (losses - risk)))
    return bool(wealth.max() > -math.log(delta))


def _stakes(losses: np.ndarray, delta: float) -> np.ndarray:
    """Returns the stakes of the Waudby-Smith-Ramdas bound, in [0, 1], [N].

    Whoever bets that the expected loss is below R, and stakes a share s of the
    wealth on each image, multiplies it by 1 - s * (loss - R). If the expected
    loss is R or more, this wealth is a nonnegative supermartingale: started at
    1, it ever exceeds 1 / delta with a probability of at most delta. The
    bound is the lowest R at which it does ("Distribution-Free,
    Risk-Controlling Prediction Sets", Bates et al., JACM 2021, on bounded
    losses). There losses lie in [0, 1]; but for the wealth to stay nonnegative
    they must only be at most 1, and R at least 0.

    Args:
        losses: Numbers of at most 1, [N], in random order.
        delta: A probability in (0, 1).
    """
    seen = np.arange(1, losses.size + 1)
    means = (0.5 + np.cumsum(losses)) / (1 + seen)
    variances = (0.25 + np.cumsum((losses - means) ** 2)) / (1 + seen)
    # A stake may depend on earlier images only.
    before = np.append(0.25, variances[:-1])
    stakes = np.sqrt(-2.0 * math.log(delta) / (losses.size * before))
    return np.minimum(stakes, 1.0)


RULE = Rule(
    fit=upper_bound,
    settings=("epsilon", "delta", "risk"),
    elsewhere="the loss is at most epsilon with probability 1 - delta",
    own_images=True,
)
