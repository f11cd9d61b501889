"""Finds pairs of classes that were exchanged."""

from collections.abc import Sequence

import numpy as np


def swaps(
    truth: np.ndarray, answers: np.ndarray, labels: Sequence[str]
) -> list[str]:
    """Names the pairs of classes of which most images are taken for the other.

    Args:
        truth: int [N], the class of each image.
        answers: int [N], the answer for each image.
        labels: Names of the classes.
    """
    count = len(labels)
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (truth, answers), 1)
    most = table > table.sum(axis=1, keepdims=True) / 2
    return [
        f"{table[a, b]} of {table[a].sum()} images of class {a} "
        f"({labels[a]}) are taken for {b} ({labels[b]}), and "
        f"{table[b, a]} of {table[b].sum()} the other way: swapped labels?"
        for a, b in np.argwhere(np.triu(most & most.T, 1))
    ]
