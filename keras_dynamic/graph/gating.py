"""Counts what an image costs where gates skip work.

A gate is the score that a `Gate` layer gives, the last input of one or more
`Multiply` layers. At 0 it saves the calls of layers that only its products'
branches need: those from which every way to an exit leads through one. A gate
inside of a branch that is skipped is not computed, either.

A gate with one score per channel is a mask. On a device it saves nothing. It
is counted as if channels could be skipped one by one, as papers do: the
convolutions before and behind the product cost a share of their multiply-adds,
that of the channels that are open.
"""

import collections
import dataclasses
import itertools
import math
from collections.abc import Sequence

import keras
import numpy as np

from keras_dynamic.graph import cost, functional
from keras_dynamic.layers import Gate


@dataclasses.dataclass(frozen=True)
class Part:
    """Describes the calls of layers that run for the same images.

    Attributes:
        exit: The first exit that needs these calls.
        gates: Indices of the gates that must be open for them.
        madds: Multiply-adds of the calls, if these gates are open.
    """

    exit: int
    gates: tuple[int, ...]
    madds: int


@dataclasses.dataclass(frozen=True, eq=False)
class Gating:
    """Lists the gates of a model, and the layers' calls that depend on them.

    Attributes:
        gates: The `Gate` layers, in the order of the graph.
        unclamped: The inputs of the gates, symbolic [batch, ...].
        scores: The outputs of the gates, symbolic [batch, ...].
        masks: Whether each gate is a mask.
        exits: How many exits the model has.
        parts: All calls of the model, each in one part.
    """

    gates: tuple[Gate, ...]
    unclamped: tuple[keras.KerasTensor, ...]
    scores: tuple[keras.KerasTensor, ...]
    masks: tuple[bool, ...]
    exits: int
    parts: tuple[Part, ...]

    def madds(self, shares: Sequence) -> list:
        """Returns the multiply-adds of each image, up to each exit.

        Args:
            shares: Per gate [batch], in numpy or of the backend: 1 where it is
                open, 0 where not; for a mask the share of open channels.

        Returns:
            Per exit [batch], or a number if it has no gate.
        """
        own = [0.0] * self.exits
        for part in self.parts:
            needed = part.madds
            for gate in part.gates:
                needed = needed * shares[gate]
            own[part.exit] = own[part.exit] + needed
        return list(itertools.accumulate(own))

    @property
    def names(self) -> tuple[str, ...]:
        """Lists the names of the gates."""
        return tuple(gate.name for gate in self.gates)

    @property
    def always(self) -> int:
        """Counts the multiply-adds of the last exit with all gates closed.

        They are those of the calls without a gate, and of the gates
        themselves, but for gates inside of branches.
        """
        return int(self.madds([0] * len(self.gates))[-1])

    @property
    def dense(self) -> int:
        """Counts the multiply-adds of the last exit with all gates open."""
        return int(self.madds([1] * len(self.gates))[-1])

    def saved(self) -> list[int]:
        """Counts the multiply-adds each gate saves if all others are open."""
        dense, gates = self.dense, range(len(self.gates))
        return [
            dense - int(self.madds([each != gate for each in gates])[-1])
            for gate in gates
        ]


def gating(model: keras.Model) -> Gating:
    """Finds the gates of a functional model; there may be none.

    A model that is called as a layer counts as one call.
    """
    nodes = [
        node
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
    ]  # Each after those that it needs.
    calls = [node for node in nodes if isinstance(node.operation, Gate)]
    masks = tuple(math.prod(call.outputs[0].shape[1:]) > 1 for call in calls)
    gates = {id(call): index for index, call in enumerate(calls)}

    # Per call the gates on all ways from it to the exits, its readers first.
    conditions = {
        id(functional.producer(each)): frozenset() for each in model.outputs
    }
    readers = collections.defaultdict(list)
    products = []  # With masks: the call and the gate's index.
    for node in reversed(nodes):
        condition = conditions[id(node)]
        gate = _gate_of(node, gates)
        if gate is not None and masks[gate]:
            products.append((node, gate))
        for place, tensor in enumerate(node.input_tensors):
            before = id(functional.producer(tensor))
            readers[before].append(node)
            on_the_way = condition
            is_score = place == len(node.input_tensors) - 1
            if gate is not None and not masks[gate] and not is_score:
                on_the_way = condition | {gate}
            conditions[before] = conditions.get(before, on_the_way) & on_the_way
    for product, gate in products:
        for call in _masked(product, readers):
            conditions[id(call)] |= {gate}

    madds = collections.Counter()
    seen = set()
    for exit, output in enumerate(model.outputs):
        for node in functional.ancestors([output], seen):
            madds[exit, conditions[id(node)]] += cost.call_madds(node)
    parts = [
        Part(exit, tuple(sorted(condition)), count)
        for (exit, condition), count in madds.items()
        if count
    ]
    return Gating(
        gates=tuple(call.operation for call in calls),
        unclamped=tuple(call.input_tensors[0] for call in calls),
        scores=tuple(call.outputs[0] for call in calls),
        masks=masks,
        exits=len(model.outputs),
        parts=tuple(parts),
    )


def open_shares(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Measures how much of each gate is open, float64 [N, gates].

    Args:
        scores: The gates' outputs, each [N, ...], in the order of
            `Gating.scores`.
    """
    return np.stack(
        [np.mean(np.reshape(each, (len(each), -1)) > 0, 1) for each in scores],
        axis=1,
    )


def dynamic_madds(found: Gating, shares: np.ndarray) -> np.ndarray:
    """Returns the multiply-adds of each image up to each exit, float64 [K, N].

    Args:
        found: The gates of a model, from `gating`.
        shares: How much of each gate is open, from `open_shares`, [N, gates].
    """
    return np.stack(
        [np.broadcast_to(each, len(shares)) for each in found.madds(shares.T)]
    ).astype(np.float64)


def _gate_of(node, gates):
    """Returns the index of the gate that a call multiplies by, or None."""
    if not isinstance(node.operation, keras.layers.Multiply):
        return None
    return gates.get(id(functional.producer(node.input_tensors[-1])))


_KEEPING_CHANNELS = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.DepthwiseConv2D,
    keras.layers.ReLU,
)


def _masked(product, readers):
    """Lists the calls that cost less the fewer channels a mask leaves open."""
    found = [
        node
        for node in readers[id(product)]
        if isinstance(node.operation, keras.layers.Conv2D)
    ]
    node = functional.producer(product.input_tensors[0])
    while len(readers[id(node)]) == 1:
        if isinstance(node.operation, keras.layers.Conv2D):
            return [*found, node]
        if not isinstance(node.operation, _KEEPING_CHANNELS):
            break
        found.append(node)
        node = functional.producer(node.input_tensors[0])
    return found
