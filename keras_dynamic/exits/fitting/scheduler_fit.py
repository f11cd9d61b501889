"""Learns a scheduler: which images are worth going on with, for a budget.

"Adaptive Deep Neural Network Inference Optimization with EENet" (Ilhan et al.,
WACV 2024), with numpy alone. The network is left as it is; from what its exits
say, a score and a share per exit are learned:

- the score z_k of exit k is linear in `scheduler.features`: the probabilities,
  the largest one, 1 - H / ln C, and the scores before; clipped to q_k in [0, 1]
  it is to say whether the exit is right;
- the share of an image that is to stop at exit k comes from a small network
  r_k on the same features (one hidden layer, sigmoids): softmax over k of r.

Scores and shares take turns; each loss is stated at its function. Thresholds
then follow from the mean shares, in `scheduler`.

Where the paper leaves a choice, or its code does what it cannot mean, this is
ours: scores start as the largest probability (the code: at random, and the best
of ten runs is kept); each step uses its own gradient (gradients of all steps
add up, as they are never reset); the shares that weigh the images are those at
the beginning of a turn (of each step); the scores before enter unclipped, when
learning as when deciding (clipped when learning); the sum of all loss terms
decides when to end (the terms of the present turn); and the mean shares are
multiplied by q^k, as in `budgeted_batch`, so that the budget is kept (a run
within 10 % of it is taken).
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamic.exits.decision import checks, confidence
from keras_dynamic.exits.decision.outcome import correct
from keras_dynamic.exits.decision.scheduler import Scheduler, features
from keras_dynamic.exits.fitting.cost_budget import check_budget
from keras_dynamic.exits.fitting.scheduler_loss import (
    score_loss,
    share_loss,
    shares_of,
)

# Adam's, as published.
_DECAYS = (0.9, 0.999)
_EPSILON = 1e-8

_TYPE = np.float32


@dataclass(frozen=True, kw_only=True)
class Training:
    """Sets how a scheduler is learned; the defaults are the authors' code's.

    Attributes:
        epochs: Passes over the images, at most.
        batch_size: Images per step.
        learning_rate: Learning rate of Adam.
        weight_decay: Factor of the weight that is added to the gradient.
        alpha_ce: Weight of the shares' divergence from the scores.
        alpha_cost: Weight of the distance from the budget.
        beta: Power of the scores that the shares are compared with.
        hidden_ratio: Hidden units of r per feature.
        period: Epochs after which scores and shares change turns.
        tolerance: Epochs without a lower loss after which learning ends; looked
            at whenever turns change.
        seed: Seed of the first weights of r and the order of the images.

    Raises:
        ValueError: If a value is negative, or zero where it makes no sense.
    """

    epochs: int = 1000
    batch_size: int = 512
    learning_rate: float = 3e-5
    weight_decay: float = 1e-2
    alpha_ce: float = 1e-3
    alpha_cost: float = 1e-2
    beta: float = 1.0
    hidden_ratio: float = 0.5
    period: int = 10
    tolerance: int = 100
    seed: int = 0

    def __post_init__(self):
        may_be_zero = ("weight_decay", "alpha_ce", "alpha_cost", "seed")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            low = field.name in may_be_zero and value == 0
            if not (low or 0 < value < np.inf):
                raise ValueError(
                    f"`{field.name}` must be positive"
                    f"{' or 0' if field.name in may_be_zero else ''}. "
                    f"Received: {value}"
                )


# A step with its own gradient goes less far than one of the authors' code: at
# their rate a thousand epochs hardly leave the first weights.
FASTER = Training(learning_rate=2e-3, epochs=100, batch_size=128)


@dataclass(frozen=True)
class SchedulerFit:
    """Holds a learned scheduler, its shares and its losses.

    Attributes:
        scheduler: The scores, scaled to be 0 for the least sure of the images
            and 1 for the surest.
        shares: Mean share of the images that is to stop at each exit, [K].
        losses: The loss after each turn.
    """

    scheduler: Scheduler
    shares: tuple[float, ...]
    losses: tuple[float, ...]


def fit_scheduler(
    logits: Sequence[np.ndarray],
    labels: np.ndarray,
    costs: Sequence[float],
    temperatures: Sequence[float],
    budget: float,
    training: Training = FASTER,
) -> SchedulerFit:
    """Learns scores and shares; a seed fixes all but the last bits of a BLAS.

    Args:
        logits: One [N, C] array per exit, shallow to deep; C at least 2.
        labels: Classes, integers [N] in [0, C).
        costs: Increasing, cumulative per exit, [K].
        temperatures: One per exit, [K]; the authors use 1.
        budget: The highest mean cost of an image, in the unit of the costs.
        training: The constants of the training.

    Raises:
        ValueError: If an argument is not as said, or the budget is below the
            cost of the first exit.
    """
    costs = checks.exit_costs(costs, temperatures)
    check_budget(budget, costs)
    arrays = checks.exit_logits(logits, costs.size, classes=2)
    right = correct(arrays, labels, costs.size)
    rng = np.random.default_rng(training.seed)
    order = rng.permutation(right.shape[1])
    probabilities = [
        confidence.softmax(array[order], temperature)
        for array, temperature in zip(arrays, temperatures, strict=True)
    ]
    learner = _Learner(probabilities, right.T[order], costs / budget, training)
    learner.start(rng)
    losses = learner.run()
    return SchedulerFit(
        scheduler=learner.scheduler(),
        shares=tuple(learner.mean_shares().tolist()),
        losses=losses,
    )


class _Learner:
    """Holds the images, in the order of the batches, and learns the weights."""

    def __init__(
        self,
        probabilities: Sequence[np.ndarray],
        right: np.ndarray,
        costs: np.ndarray,
        training: Training,
    ):
        """Prepares the features; the scores before are filled in later.

        Args:
            probabilities: One [N, C] array per exit.
            right: Whether each exit is right, bool [N, K].
            costs: Costs divided by the budget, [K].
            training: The constants of the training.
        """
        self._classes = probabilities[0].shape[1]
        self._seen = [
            features(each, np.zeros((len(each), exit))).astype(_TYPE)
            for exit, each in enumerate(probabilities)
        ]
        self._right = right
        self._costs = costs.astype(_TYPE)
        self._training = training

    def start(self, rng: np.random.Generator) -> None:
        """Sets the first weights."""
        self._weights, self._networks = [], []
        for x in self._seen:
            size = x.shape[1]
            weight = np.zeros(size, _TYPE)
            weight[self._classes] = 1.0  # That of the largest probability.
            self._weights.append(weight)
            units = max(1, int(self._training.hidden_ratio * size))
            # PyTorch's first weights of a linear layer, which the authors use.
            shapes = ((size, units), units, units, 1)
            bounds = np.sqrt([size, size, units, units])
            self._networks.append(
                [
                    (rng.uniform(-1, 1, shape) / bound).astype(_TYPE)
                    for shape, bound in zip(shapes, bounds, strict=True)
                ]
            )

    def run(self) -> tuple[float, ...]:
        """Learns, keeps the weights of the lowest loss, returns all losses."""
        training = self._training
        flat = [each for network in self._networks for each in network]
        turns = (
            (self._learn_scores, _Adam(self._weights, training)),
            (self._learn_shares, _Adam(flat, training)),
        )
        losses, lowest, waited, best = [], np.inf, 0, self._copies()
        for turn, start in enumerate(
            range(0, training.epochs, training.period)
        ):
            learn, adam = turns[turn % 2]
            epochs = min(training.period, training.epochs - start)
            learn(adam, epochs)
            losses.append(self._loss())
            waited += epochs
            if losses[-1] < lowest:
                lowest, waited, best = losses[-1], 0, self._copies()
            if waited >= training.tolerance:
                break
        self._weights, self._networks = best
        self._score()
        return tuple(losses)

    def mean_shares(self) -> np.ndarray:
        """Returns the mean shares, float64 [K]; their sum is 1."""
        shares = shares_of(self._networks, self._seen)
        means = shares.mean(axis=0, dtype=np.float64)
        return means / means.sum()

    def scheduler(self) -> Scheduler:
        """Returns the scores, scaled to [0, 1] on these images.

        A scheduler keeps the scaled scores of the exits before: the weights of
        later exits are changed to match.
        """
        raw = self._score()
        low = raw.min(axis=0)
        width = raw.max(axis=0) - low
        width[width == 0.0] = 1.0  # All scores of an exit may be equal.
        weights, biases = [], []
        for exit, weight in enumerate(self._weights):
            before = weight[-exit:] if exit else weight[:0]
            bias = before @ low[:exit] - low[exit]
            weight = np.concatenate(
                [weight[: weight.size - exit], before * width[:exit]]
            )
            weights.append(tuple((weight / width[exit]).tolist()))
            biases.append(float(bias / width[exit]))
        return Scheduler(tuple(weights), tuple(biases))

    def _copies(self) -> tuple[list, list]:
        return (
            [each.copy() for each in self._weights],
            [[each.copy() for each in network] for network in self._networks],
        )

    def _batches(self) -> list[slice]:
        size = self._training.batch_size
        return [
            slice(start, start + size)
            for start in range(0, len(self._right), size)
        ]

    def _score(self, rows: slice = slice(None)) -> np.ndarray:
        """Fills in the scores before; returns all scores, unclipped [B, K]."""
        shape = (len(self._right[rows]), len(self._weights))
        scores = np.empty(shape, _TYPE)
        for exit, (x, weight) in enumerate(
            zip(self._seen, self._weights, strict=True)
        ):
            x[rows, x.shape[1] - exit :] = scores[:, :exit]
            scores[:, exit] = x[rows] @ weight
        return scores

    def _learn_scores(self, adam: "_Adam", epochs: int) -> None:
        shares = shares_of(self._networks, self._seen)
        for rows in epochs * self._batches():
            self._score(rows)
            _, gradients = score_loss(
                self._weights,
                [x[rows] for x in self._seen],
                self._right[rows],
                shares[rows],
            )
            adam.step(gradients)

    def _learn_shares(self, adam: "_Adam", epochs: int) -> None:
        scores = self._score()
        for rows in epochs * self._batches():
            _, gradients = self._share_loss(rows, scores[rows])
            adam.step([each for network in gradients for each in network])

    def _loss(self) -> float:
        scores = self._score()
        shares = shares_of(self._networks, self._seen)
        first, _ = score_loss(self._weights, self._seen, self._right, shares)
        second, _ = self._share_loss(slice(None), scores)
        return first + second

    def _share_loss(self, rows: slice, scores: np.ndarray) -> tuple:
        training = self._training
        return share_loss(
            self._networks,
            [x[rows] for x in self._seen],
            scores,
            self._costs,
            alpha_ce=training.alpha_ce,
            alpha_cost=training.alpha_cost,
            beta=training.beta,
        )


class _Adam:
    """Runs Adam (Kingma and Ba 2015), which changes arrays in place."""

    def __init__(self, arrays: Sequence[np.ndarray], training: Training):
        self._arrays = arrays
        self._rate = training.learning_rate
        self._decay = training.weight_decay
        self._means = [np.zeros_like(each) for each in arrays]
        self._squares = [np.zeros_like(each) for each in arrays]
        self._steps = 0

    def step(self, gradients: Sequence[np.ndarray]) -> None:
        self._steps += 1
        first, second = (1.0 - decay**self._steps for decay in _DECAYS)
        for array, gradient, mean, square in zip(
            self._arrays, gradients, self._means, self._squares, strict=True
        ):
            gradient = gradient + self._decay * array
            mean += (1.0 - _DECAYS[0]) * (gradient - mean)
            square += (1.0 - _DECAYS[1]) * (gradient**2 - square)
            root = np.sqrt(square / second) + _EPSILON
            array -= self._rate * (mean / first) / root
