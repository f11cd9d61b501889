"""What rules know of the images that they fit a policy to."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamic.exits.decision import checks, confidence, kinds
from keras_dynamic.exits.decision.outcome import correct, tally
from keras_dynamic.exits.decision.policy import Policy, first_exits
from keras_dynamic.exits.decision.scheduler import Scheduler
from keras_dynamic.exits.fitting import frontier
from keras_dynamic.exits.fitting.fitted import Fitted


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibration:
    """N images, how sure each exit is of them, and what stopping there costs.

    Attributes:
        logits: One [N, C] array per exit, shallow to deep.
        labels: Classes, integers [N] in [0, C).
        costs: Increasing, cumulative per exit, [K].
        temperatures: One per exit, [K].
        kind: Of the policy to fit; what the scores are.
        scheduler: Of the policy to fit.
        scores: In [0, 1], float64 [K, N].
        right: Whether each exit's top class is the label, bool [K, N].
    """

    logits: tuple[np.ndarray, ...]
    labels: np.ndarray
    costs: np.ndarray
    temperatures: tuple[float, ...]
    kind: str
    scheduler: Scheduler | None
    scores: np.ndarray
    right: np.ndarray

    @functools.cached_property
    def frontier(self) -> frontier.Frontier:
        """The best thresholds for every cost and accuracy, found once."""
        return frontier.frontier(self.scores, self.right, self.costs)

    def fitted(
        self,
        thresholds: Sequence[float],
        enabled: Sequence[bool],
        **facts: str | bool | float,
    ) -> Fitted:
        """Returns a policy that compares such scores with thresholds.

        Args:
            thresholds: One per exit, [K].
            enabled: Whether an image may stop there, [K].
            **facts: Where they come from, the rule first; the number of images
                is added.
        """
        policy = Policy(
            kind=self.kind,
            temperatures=self.temperatures,
            thresholds=tuple(thresholds),
            enabled=tuple(enabled),
            scheduler=self.scheduler,
            fitted={**facts, "images": self.scores.shape[1]},
        )
        return Fitted(policy)

    def from_frontier(self, index: int, **facts: str | bool | float) -> Fitted:
        """Returns a policy of the frontier.

        Args:
            index: Its place there.
            **facts: The rule and what was asked of it; what the policy gives
                on these images is added.
        """
        thresholds = self.frontier.thresholds[index]
        taken = first_exits(self.scores, thresholds)
        got = tally(taken, self.right, self.costs)
        return self.fitted(
            *frontier.between(thresholds, self.scores),
            **facts,
            accuracy=got.accuracy,
            mean_cost=got.mean_cost,
        )


def calibrate(
    logits: Sequence[np.ndarray],
    labels: np.ndarray,
    costs: Sequence[float],
    temperatures: Sequence[float],
    *,
    kind: str = kinds.KINDS[0],
    scheduler: Scheduler | None = None,
) -> Calibration:
    """Looks at images, for as many rules as are to be tried.

    Args:
        logits: One [N, C] array per exit, shallow to deep; C at least 2. They
            are kept, not copied.
        labels: Classes, integers [N] in [0, C).
        costs: Increasing, cumulative per exit, [K]: multiply-adds or
            milliseconds.
        temperatures: One per exit, [K].
        kind: One of `kinds.KINDS`: the measure of confidence.
        scheduler: For the kind "scheduler".

    Raises:
        ValueError: If an argument is not as said.
    """
    costs = checks.exit_costs(costs, temperatures)
    measure = kinds.measure(kind, scheduler)
    arrays = checks.exit_logits(logits, len(costs), classes=2)
    labels = checks.class_labels(labels, *arrays[0].shape)
    return Calibration(
        logits=arrays,
        labels=labels,
        costs=costs,
        temperatures=tuple(temperatures),
        kind=kind,
        scheduler=scheduler,
        scores=confidence.confidences(arrays, temperatures, measure),
        right=correct(arrays, labels, len(costs)),
    )
