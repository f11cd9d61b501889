"""Thresholds with a guarantee on images that are still to come.

All early exits share one threshold, the level. The looser (lower) it is, the
earlier images stop and the less they cost, but the more is lost against the
last exit. Calibration images decide how loose it may be ("Fast yet Safe:
Early-Exiting with Risk Control", Jazbec et al., NeurIPS 2024).

The guarantees hold if the calibration images and those to come are independent
draws from one distribution. Neither the network, nor the temperatures, nor the
levels may have been chosen with the calibration images.
"""

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamic.exits.decision import kinds
from keras_dynamic.exits.decision.outcome import mean_cost
from keras_dynamic.exits.decision.policy import (
    DISABLED_THRESHOLD,
    Policy,
    first_exits,
)
from keras_dynamic.exits.decision.scheduler import Scheduler
from keras_dynamic.exits.fitting.calibration import Calibration, calibrate

RISKS = ("accuracy_gap", "inconsistency")

# Ever denser towards 1, where trained networks put most of their confidences.
LEVELS = tuple((1.0 - np.geomspace(1e-6, 1.0, 601)).tolist())

_HALVINGS = 30


@dataclass(frozen=True, kw_only=True)
class ControlledPolicy:
    """A policy and what is known of its risk.

    The risk is the expected loss of an image, against sending it to the last
    exit; see `conformal_policy`.

    Attributes:
        policy: Its early exits have the same threshold, or are all disabled.
        status: "controlled"; "last_exit_only" if not even the strictest level
            was allowed, and every image goes to the last exit.
        level: The threshold of the early exits; None for "last_exit_only".
        bound: What the risk is known not to exceed; at most epsilon.
        calibration_risk: Mean loss of the calibration images; for
            "accuracy_gap" it can be negative.
        mean_cost: Of the calibration images, in the unit of the costs.
    """

    policy: Policy
    status: str
    level: float | None
    bound: float
    calibration_risk: float
    mean_cost: float


def conformal_policy(
    logits: Sequence[np.ndarray],
    labels: np.ndarray,
    costs: Sequence[float],
    temperatures: Sequence[float],
    epsilon: float,
    *,
    risk: str = RISKS[0],
    levels: Sequence[float] = LEVELS,
    kind: str = kinds.KINDS[0],
    scheduler: Scheduler | None = None,
) -> ControlledPolicy:
    """Returns the cheapest policy whose risk is at most epsilon on average.

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
    exit gets right then make up for no others, as they do for
    `upper_bound_policy`. "Fast yet Safe" takes the losses as they are and
    wants only the risk to grow (equation 2), which allows looser levels, but
    is not what the theorem proves.

    The loss of an image is, by the choice of `risk`:

    - "accuracy_gap": 1 if only the last exit is right, -1 if only the exit
      where it stops is, else 0; the risk is the accuracy that is lost.
    - "inconsistency": 1 if the top classes of the two exits differ, else 0.

    Args:
        logits: One [N, C] array per exit, shallow to deep; C at least 2.
        labels: Classes, integers [N] in [0, C).
        costs: Increasing, cumulative per exit, [K].
        temperatures: One per exit, [K].
        epsilon: A fraction in [0, 1]; 0.005 is half a percentage point.
        risk: One of `RISKS`.
        levels: Decreasing numbers in [0, 1], chosen before looking at the
            calibration images.
        kind: One of `kind.KINDS`; what the levels are compared with.
        scheduler: For the kind "scheduler"; not fitted to these images.

    Raises:
        ValueError: If an argument is not as said.
    """
    images = calibrate(
        logits, labels, costs, temperatures, kind=kind, scheduler=scheduler
    )
    case = _Case(images, logits, epsilon, risk, levels)

    def bound(losses: np.ndarray) -> float:
        return (losses.sum(dtype=np.int64) + 1) / (losses.size + 1)

    largest = itertools.accumulate(
        (np.maximum(each, 0) for each in case.losses()), np.maximum
    )
    return case.loosest(
        largest,
        lambda losses: bound(losses) <= epsilon,
        bound,
        rule="conformal",
    )


def upper_bound_policy(
    logits: Sequence[np.ndarray],
    labels: np.ndarray,
    costs: Sequence[float],
    temperatures: Sequence[float],
    epsilon: float,
    delta: float,
    *,
    risk: str = RISKS[0],
    levels: Sequence[float] = LEVELS,
    kind: str = kinds.KINDS[0],
    scheduler: Scheduler | None = None,
) -> ControlledPolicy:
    """Returns the cheapest policy whose risk is very likely at most epsilon.

    The risk of the policy exceeds epsilon with a probability of at most delta,
    which is that of unlucky calibration images.

    Levels are tested from the strictest on until the upper confidence bound of
    one exceeds epsilon; the one before is taken. This is fixed-sequence
    testing ("Learn then Test", Angelopoulos et al. 2021): only the first level
    that is too risky can do harm, hence no correction for their number, and
    the risk need not grow from one level to the next. The bound is that of
    Waudby-Smith and Ramdas, see `_stakes`.

    Args:
        logits: As for `conformal_policy`, like all that is not named here.
        labels: As there.
        costs: As there.
        temperatures: As there.
        epsilon: A fraction in [0, 1]; 0.005 is half a percentage point.
        delta: A probability in (0, 1); "Fast yet Safe" takes 0.1.
        risk: As there.
        levels: As there.
        kind: As there.
        scheduler: As there.

    Raises:
        ValueError: If an argument is not as said.
    """
    if not 0.0 < delta < 1.0:
        raise ValueError(f"`delta` must lie in (0, 1). Received: {delta}")
    images = calibrate(
        logits, labels, costs, temperatures, kind=kind, scheduler=scheduler
    )
    case = _Case(images, logits, epsilon, risk, levels)
    # The bound bets on one image after the other, and only in an order that
    # tells nothing about them; stored images are often sorted.
    order = np.random.default_rng(0).permutation(case.images)

    def is_below(losses: np.ndarray, risk: float, stakes: np.ndarray) -> bool:
        with np.errstate(divide="ignore"):  # A bet may lose everything.
            wealth = np.cumsum(np.log1p(-stakes * (losses - risk)))
        return wealth.max() > -math.log(delta)

    def bound(losses: np.ndarray) -> float:
        stakes = _stakes(losses, delta)
        low, high = 0.0, float(epsilon)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if is_below(losses, middle, stakes):
                high = middle
            else:
                low = middle
        return high

    return case.loosest(
        (losses[order] for losses in case.losses()),
        lambda losses: is_below(losses, epsilon, _stakes(losses, delta)),
        bound,
        rule="upper_bound",
        delta=delta,
    )


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
        losses: At most 1, [N], in random order.
        delta: In (0, 1).
    """
    seen = np.arange(1, losses.size + 1)
    means = (0.5 + np.cumsum(losses)) / (1 + seen)
    variances = (0.25 + np.cumsum((losses - means) ** 2)) / (1 + seen)
    # A stake may depend on earlier images only.
    before = np.append(0.25, variances[:-1])
    stakes = np.sqrt(-2.0 * math.log(delta) / (losses.size * before))
    return np.minimum(stakes, 1.0)


class _Case:
    """The checked arguments: what stopping at each exit loses."""

    def __init__(
        self,
        calibration: Calibration,
        logits: Sequence[np.ndarray],
        epsilon: float,
        risk: str,
        levels: Sequence[float],
    ):
        if not 0.0 <= epsilon <= 1.0:
            raise ValueError(
                f"`epsilon` must be a fraction in [0, 1]. Received: {epsilon}"
            )
        if risk not in RISKS:
            raise ValueError(
                f"`risk` must be one of {list(RISKS)}. Received: {risk!r}"
            )
        levels = np.asarray(levels, dtype=np.float64)
        if (
            levels.ndim != 1
            or levels.size == 0
            or not ((levels >= 0.0) & (levels <= 1.0)).all()
            or (np.diff(levels) >= 0.0).any()
        ):
            raise ValueError(
                "`levels` must be decreasing numbers in [0, 1]. "
                f"Received: {levels}"
            )
        self._calibration = calibration
        if risk == "accuracy_gap":
            right = calibration.right.astype(np.int8)
            self._losses = right[-1] - right
        else:
            tops = np.stack([np.argmax(each, axis=1) for each in logits])
            self._losses = (tops != tops[-1]).astype(np.int8)
        self._target = {"epsilon": float(epsilon), "risk": risk}
        self._levels = tuple(levels.tolist())
        self.images = calibration.right.shape[1]

    def losses(self) -> Iterator[np.ndarray]:
        """Yields the images' losses at each level in turn, int8 [N]."""
        return map(self._losses_at, self._levels)

    def loosest(
        self,
        losses: Iterable[np.ndarray],
        allowed: Callable[[np.ndarray], bool],
        bound: Callable[[np.ndarray], float],
        **fitted: str | float,
    ) -> ControlledPolicy:
        """Returns the policy of the last level before one is not allowed.

        Args:
            losses: What to judge the levels by, [N] for each.
            allowed: Whether a level is, from its losses.
            bound: What the risk of an allowed level does not exceed.
            **fitted: What the policy is to say of where it comes from.
        """
        tried = zip(self._levels, losses, strict=True)
        safe = itertools.takewhile(lambda each: allowed(each[1]), tried)
        found = deque(safe, maxlen=1)
        costs = self._calibration.costs
        fitted |= self._target
        if not found or len(costs) == 1:
            status, level, most, risk = "last_exit_only", None, 0.0, 0.0
            cost = float(costs[-1])
        else:
            level, judged = found.pop()
            status, most = "controlled", float(bound(judged))
            risk = float(self._losses_at(level).mean())
            cost = mean_cost(self._exits_at(level), costs)
            fitted["level"] = level
        early = level is not None
        bar = level if early else DISABLED_THRESHOLD
        return ControlledPolicy(
            policy=self._calibration.policy(
                (bar,) * (len(costs) - 1) + (0.0,),
                (early,) * (len(costs) - 1) + (True,),
                **fitted,
                status=status,
                bound=most,
                calibration_risk=risk,
                mean_cost=cost,
            ),
            status=status,
            level=level,
            bound=most,
            calibration_risk=risk,
            mean_cost=cost,
        )

    def _exits_at(self, level: float) -> np.ndarray:
        scores = self._calibration.scores
        return first_exits(scores, [level] * len(scores))

    def _losses_at(self, level: float) -> np.ndarray:
        return self._losses[self._exits_at(level), np.arange(self.images)]
