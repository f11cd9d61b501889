"""Tries levels, thresholds that all early exits share, and their losses.

The looser (lower) a level is, the earlier images stop and the less they cost,
but the more is lost against the last exit. By `conformal` and `upper_bound`
calibration images decide how loose it may be ("Fast yet Safe: Early-Exiting
with Risk Control", Jazbec et al., NeurIPS 2024).

Their guarantees hold if the calibration images and those to come are
independent draws from one distribution. Neither the network, nor the
temperatures, nor the levels may have been chosen with the calibration images.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from keras_dynamic.exits.decision.outcome import mean_cost
from keras_dynamic.exits.decision.policy import DISABLED_THRESHOLD, first_exits
from keras_dynamic.exits.fitting.calibration import Calibration
from keras_dynamic.exits.fitting.fitted import Fitted

RISKS = ("accuracy_gap", "inconsistency")

# Ever denser towards 1, where trained networks put most of their confidences.
LEVELS = tuple((1.0 - np.geomspace(1e-6, 1.0, 601)).tolist())


class Levels:
    """Holds levels to choose from, and the images' losses at each.

    The risk is the expected loss of an image, against sending it to the last
    exit. By the choice of `risk` the loss is:

    - "accuracy_gap": 1 if only the last exit is right, -1 if only the exit
      where the image stops is, else 0; the risk is the accuracy that is lost.
    - "inconsistency": 1 if the top classes of the two exits differ, else 0.

    Args:
        images: The calibration images.
        epsilon: The highest risk, a fraction in [0, 1].
        risk: One of `RISKS`.
        levels: Decreasing numbers in [0, 1].

    Raises:
        ValueError: If an argument is not as said.
    """

    def __init__(
        self,
        images: Calibration,
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
        self._images = images
        if risk == "accuracy_gap":
            right = images.right.astype(np.int8)
            self._losses = right[-1] - right
        else:
            tops = np.stack([np.argmax(each, axis=1) for each in images.logits])
            self._losses = (tops != tops[-1]).astype(np.int8)
        self._target = {"epsilon": float(epsilon), "risk": risk}
        self._levels = tuple(levels.tolist())

    def losses(self) -> Iterator[np.ndarray]:
        """Yields the images' losses at each level in turn, int8 [N]."""
        return map(self._losses_at, self._levels)

    def loosest(
        self,
        losses: Iterable[np.ndarray],
        allowed: Callable[[np.ndarray], bool],
        **facts: str | float,
    ) -> Fitted:
        """Returns the policy of the last level before one is not allowed.

        Args:
            losses: Losses to judge the levels by, [N] for each.
            allowed: Function that tells from a level's losses whether the level
                is allowed.
            **facts: The rule, its settings, and its promise of new images.

        Returns:
            A policy whose early exits have the same threshold, with the status
            "controlled"; or, if not even the strictest level is allowed,
            "last_exit_only" with all of them disabled. The facts are "level"
            (the threshold; only for "controlled"), "calibration_risk" (the
            mean loss of these images; for "accuracy_gap" it can be negative)
            and "mean_cost" (in the unit of the costs). No bound tighter than
            epsilon is among them: evaluated at the level that the same images
            chose, it would be exceeded more often than it says.
        """
        tried = zip(self._levels, losses, strict=True)
        safe = itertools.takewhile(lambda each: allowed(each[1]), tried)
        found = deque(safe, maxlen=1)
        costs = self._images.costs
        facts |= self._target
        if not found or len(costs) == 1:
            status, level, risk = "last_exit_only", None, 0.0
            cost = float(costs[-1])
        else:
            level, _ = found.pop()
            status = "controlled"
            risk = float(self._losses_at(level).mean())
            cost = mean_cost(self._exits_at(level), costs)
            facts["level"] = level
        early = level is not None
        bar = level if early else DISABLED_THRESHOLD
        return self._images.fitted(
            (bar,) * (len(costs) - 1) + (0.0,),
            (early,) * (len(costs) - 1) + (True,),
            **facts,
            status=status,
            calibration_risk=risk,
            mean_cost=cost,
        )

    def _exits_at(self, level: float) -> np.ndarray:
        scores = self._images.scores
        return first_exits(scores, [level] * len(scores))

    def _losses_at(self, level: float) -> np.ndarray:
        return self._losses[
            self._exits_at(level), np.arange(self._losses.shape[1])
        ]
