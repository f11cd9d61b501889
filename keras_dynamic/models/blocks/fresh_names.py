"""Gives layers without a name the same names each time a model is built."""

import collections
import contextlib
from collections.abc import Iterator

from keras.src.backend.common import global_state

# Keras counts here how often it has given a name in this process.
_COUNTERS = "object_name_uids"


@contextlib.contextmanager
def fresh_names() -> Iterator[None]:
    """Counts from the beginning within a `with` block, as in a new process.

    Keras calls the second `Conv2D` of a process `conv2d_1`, whichever model it
    belongs to. Weights are kept by the layers' names: a model that is built
    twice must have the same ones. Behind the block no name of it comes again.
    """
    before = global_state.get_global_attribute(_COUNTERS) or {}
    global_state.set_global_attribute(_COUNTERS, None)
    try:
        yield
    finally:
        within = global_state.get_global_attribute(_COUNTERS) or {}
        counts = collections.defaultdict(int, before)
        for name, count in within.items():
            counts[name] = max(counts[name], count)
        global_state.set_global_attribute(_COUNTERS, counts)
