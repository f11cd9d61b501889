"""Notes how long a chain takes from exit to exit, as far as it was seen."""

from collections.abc import Callable

# Of the newest time in a running mean: about the last fifteen images count.
_SHARE = 1 / 8
# What is left of a mean when it kept an image from an exit. Without it one slow
# moment could close the exit for good; so it is tried again, for an exit that
# takes twice the budget about once in a hundred images.
_FADED = 0.999


class Pace:
    """Keeps the running mean of milliseconds to each exit from the one before.

    Args:
        exits: Their number, K.
    """

    def __init__(self, exits: int):
        # Nothing is known: every exit seems to be within reach.
        self._means: list[float] = [0.0] * exits

    def start(self, exit: int, ms: float) -> None:
        """Takes a first measurement, in milliseconds."""
        self._means[exit] = ms

    def note(self, exit: int, ms: float) -> None:
        """Takes a further measurement, in milliseconds, into the mean."""
        self._means[exit] += _SHARE * (ms - self._means[exit])

    def reaches(self, exit: int, ms: float) -> bool:
        """Tells whether an exit can be expected within some milliseconds.

        True for one behind the last: none keeps an image from it.
        """
        if exit == len(self._means) or self._means[exit] <= ms:
            return True
        self._means[exit] *= _FADED
        return False


class Watch:
    """Looks at the clock at each exit of an image that has a budget.

    Args:
        pace: Of the chain.
        clock: Tells the time in seconds.
        budget_ms: Milliseconds from now on.
    """

    def __init__(
        self, pace: Pace, clock: Callable[[], float], budget_ms: float
    ):
        self._pace = pace
        self._clock = clock
        self._start = self._before = clock()
        self._budget_ms = budget_ms

    def out_of_time(self, exit: int) -> bool:
        """Notes that an exit was reached; tells whether to stop there.

        Args:
            exit: From 0.

        Returns:
            True if there is a next exit, but not within what is left of the
            budget, as far as can be expected.
        """
        now = self._clock()
        self._pace.note(exit, 1e3 * (now - self._before))
        self._before = now
        left = self._budget_ms - 1e3 * (now - self._start)
        return not self._pace.reaches(exit + 1, left)
