"""Finds round numbers for an axis."""

import itertools
import math


def linear(low: float, high: float, most: int = 7) -> list[float]:
    """Returns multiples of 1, 2 or 5 times a power of ten within a range.

    Args:
        low: Start of the axis.
        high: End of the axis, above `low`.
        most: Largest number of ticks, at least 2.
    """
    exponent = math.floor(math.log10((high - low) / most))
    step = next(
        factor * 10.0**exponent
        for factor in (1, 2, 5, 10, 20)
        if (high - low) / (factor * 10.0**exponent) <= most - 1
    )
    # Rounded, for 3 * 0.1 is not 0.3.
    first, last = (
        math.ceil(round(low / step, 9)),
        math.floor(round(high / step, 9)),
    )
    return [round(i * step, 12) for i in range(first, last + 1)]


def logarithmic(low: float, high: float, apart: float = 0.15) -> list[float]:
    """Returns round numbers within a range, for a logarithmic axis.

    There are as many as have room; if the range is too short for two, they are
    evenly spaced.

    Args:
        low: Start of the axis, positive.
        high: End of the axis, above `low`.
        apart: Share of the axis that must lie between neighbours.
    """
    room = apart * math.log(high / low)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    for digits in (range(1, 10), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [
            float(digit * 10**exponent)
            for exponent in exponents
            for digit in digits
            if low <= digit * 10**exponent <= high
        ]
        gaps = [math.log(b / a) for a, b in itertools.pairwise(found)]
        if gaps and min(gaps) >= room:
            return found
    return linear(low, high, most=5)
