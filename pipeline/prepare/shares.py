"""Finds the share of the images that each split gets."""

from collections.abc import Mapping

# All raised shares together are at most this: the rest trains.
_MOST = 0.5


def raised(
    fractions: Mapping[str, float], images: int, least: int
) -> dict[str, float]:
    """Returns shares that give each split `least` images, about.

    One per cent of 600 photographs are six, on which nothing can be chosen or
    measured. A share stays as it is if it is 0 or large enough; raised ones
    take no more than half of the images together, with the others.

    Args:
        fractions: Shares of the splits that are divided by hash.
        images: Number of the images that are, about.
        least: Images that a split shall have.
    """
    wanted = {
        split: max(share, least / max(images, 1)) if share else 0.0
        for split, share in fractions.items()
    }
    given, asked = sum(fractions.values()), sum(wanted.values())
    if asked == given:
        return dict(fractions)
    part = min(1.0, max(0.0, _MOST - given) / (asked - given))
    return {
        split: share + part * (wanted[split] - share)
        for split, share in fractions.items()
    }
