"""Computes two losses that a scheduler is learned by, and their gradients.

They are those of EENet (Ilhan et al., WACV 2024); `scheduler_fit` tells the
whole.
"""

from collections.abc import Sequence

import numpy as np

# PyTorch's bounds of the binary cross-entropy, which the authors use.
_LEAST_LOG = -100.0
_LEAST_VARIANCE = 1e-12


def score_loss(
    weights: Sequence[np.ndarray],
    seen: Sequence[np.ndarray],
    right: np.ndarray,
    shares: np.ndarray,
) -> tuple[float, list[np.ndarray]]:
    """Returns the loss of the scores and its gradients.

        1 / K sum_k sum_n w_nk BCE(q_nk, right_nk),

    where w_nk is an image's share at exit k, divided by those of all images.
    Nothing flows through the shares or the scores before.

    Args:
        weights: Weights of each exit's score, [D_k].
        seen: Features of each exit, [N, D_k].
        right: Whether each exit is right, bool [N, K].
        shares: Share of each image at each exit, [N, K].
    """
    exits = len(weights)
    importance = shares / (shares.sum(axis=0) * exits)
    loss, gradients = 0.0, []
    for exit, (weight, x) in enumerate(zip(weights, seen, strict=True)):
        raw = x @ weight
        q, y = np.clip(raw, 0.0, 1.0), right[:, exit]
        with np.errstate(divide="ignore"):  # Bounded in the next line.
            logs = np.log(np.where(y, q, 1.0 - q))
        logs = np.maximum(logs, _LEAST_LOG)
        loss -= float(importance[:, exit] @ logs)
        slope = (q - y) / np.maximum(q * (1.0 - q), _LEAST_VARIANCE)
        slope *= importance[:, exit] * ((raw >= 0.0) & (raw <= 1.0))
        gradients.append(slope @ x)
    return loss, gradients


def share_loss(
    networks: Sequence[Sequence[np.ndarray]],
    seen: Sequence[np.ndarray],
    scores: np.ndarray,
    costs: np.ndarray,
    *,
    alpha_ce: float,
    alpha_cost: float,
    beta: float,
) -> tuple[float, list[list[np.ndarray]]]:
    """Returns the loss of the shares and its gradients.

        alpha_ce / (N K) sum_nk t_nk ln(t_nk / s_nk)
        + alpha_cost |1 / N sum_nk s_nk cost_k - 1|,

    where s are the shares, and t the scores clipped and to the power of beta,
    divided by their sum over the exits.

    Args:
        networks: For each exit the weights [D_k, H_k] and biases [H_k] of the
            hidden units, the weights [H_k] of r and its bias [1].
        seen: Features of each exit, [N, D_k].
        scores: Unclipped scores, [N, K].
        costs: Costs divided by the budget, [K].
        alpha_ce: Weight of the divergence.
        alpha_cost: Weight of the distance from the budget.
        beta: Power of the scores that the shares are compared with.
    """
    shares, ratings, hidden = _shares(networks, seen)
    images, exits = shares.shape
    targets = np.clip(scores, 0.0, 1.0) ** beta
    # All scores may be 0: then nothing is asked of the shares.
    targets /= np.maximum(targets.sum(axis=1, keepdims=True), _LEAST_VARIANCE)
    logs = np.log(np.maximum(targets, _LEAST_VARIANCE) / shares)
    excess = float(shares.mean(axis=0) @ costs) - 1.0
    weight = alpha_ce / (images * exits)
    loss = weight * float((targets * logs).sum())
    loss += alpha_cost * abs(excess)
    slopes = -weight * targets / shares
    slopes += alpha_cost * np.sign(excess) * costs / images
    # Through the softmax over exits and the last sigmoid.
    slopes = shares * (slopes - (slopes * shares).sum(axis=1, keepdims=True))
    slopes *= ratings * (1.0 - ratings)
    gradients = []
    for exit, (_, _, outer, _) in enumerate(networks):
        slope, units = slopes[:, exit], hidden[exit]
        below = slope[:, np.newaxis] * outer * units * (1.0 - units)
        gradients.append(
            [
                seen[exit].T @ below,
                below.sum(axis=0),
                slope @ units,
                slope.sum(keepdims=True),
            ]
        )
    return loss, gradients


def shares_of(
    networks: Sequence[Sequence[np.ndarray]], seen: Sequence[np.ndarray]
) -> np.ndarray:
    """Returns the share of each image that is to stop at each exit, [N, K].

    Args:
        networks: For each exit the weights [D_k, H_k] and biases [H_k] of the
            hidden units, the weights [H_k] of r and its bias [1].
        seen: Features of each exit, [N, D_k].
    """
    return _shares(networks, seen)[0]


def _shares(networks, seen):
    """Returns shares [N, K], ratings r [N, K] and hidden units, K [N, H_k]."""
    hidden, ratings = [], []
    for (inner, biases, outer, bias), x in zip(networks, seen, strict=True):
        hidden.append(_sigmoid(x @ inner + biases))
        ratings.append(_sigmoid(hidden[-1] @ outer + bias))
    ratings = np.stack(ratings, axis=1)
    powers = np.exp(ratings)  # Of numbers in (0, 1).
    return powers / powers.sum(axis=1, keepdims=True), ratings, hidden


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * x)
