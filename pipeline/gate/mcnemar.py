"""Tells whether chance explains a difference between two models' answers."""

import numpy as np


def p_value(before: np.ndarray, now: np.ndarray) -> float:
    """Runs the exact McNemar test of two models on the same images.

    Only images that one model gets right and the other does not tell the
    models apart. Were the models equally good, each would fall to either side
    like a coin: the result is the probability, two-sided, of a split at least
    as uneven as this one (McNemar 1947, "Note on the sampling error of the
    difference between correlated proportions or percentages"; in its exact,
    binomial form).

    Args:
        before: bool [N], whether the one is right.
        now: bool [N], whether the other one is, of the same images.

    Raises:
        ValueError: If the shapes differ.
    """
    if before.shape != now.shape:
        raise ValueError(
            "`before` and `now` must be of the same images. "
            f"Received: shapes {before.shape} and {now.shape}"
        )
    lost = int(np.sum(before & ~now))
    won = int(np.sum(now & ~before))
    discordant = lost + won
    # Integers of any size: their quotient is rounded once.
    term = tail = 1
    for k in range(min(lost, won)):
        term = term * (discordant - k) // (k + 1)
        tail += term
    return min(1.0, 2 * tail / 2**discordant)
