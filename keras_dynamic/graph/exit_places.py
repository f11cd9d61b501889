"""Finds the places of a network where an exit costs little to attach.

What runs behind an exit needs the tensors that cross there. Behind a residual
block that is one; in the middle of a block it is the shortcut, too. A device
hands over each of them from one segment to the next.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_dynamic.graph import cost, functional

# More tensors than this are a place within a block.
MOST_TENSORS = 2


@dataclasses.dataclass(frozen=True)
class ExitPlace:
    """Describes a place where an exit can be attached.

    Attributes:
        layer: Path of the layer whose output the exit would look at.
        madds: Multiply-adds of all that this output needs, per image.
        share: The same as a share of the multiply-adds of the last output.
        tensors: Number of tensors that cross there: that are made up to here
            and read behind.
        bytes: Their size per image, in int8.
        shape: Height, width and channels of the output.
    """

    layer: str
    madds: int
    share: float
    tensors: int
    bytes: int
    shape: tuple[int, ...]


def exit_places(
    outputs: Sequence[keras.KerasTensor],
    tensors: Mapping[str, Sequence[Any]],
) -> tuple[ExitPlace, ...]:
    """Lists the places with few crossing tensors, shallow to deep.

    Of places with the same cost, such as a convolution and the normalization
    and activation behind it, it is the one with the fewest tensors, then the
    fewest bytes, then the last.

    Args:
        outputs: Outputs of the network; the last one is the whole of it.
        tensors: By the layer's path, the outputs of its calls. A layer that is
            called more than once is no place.
    """
    nodes = {
        id(node): node for node in functional.ancestors(outputs[-1:], set())
    }
    madds = {key: cost.call_madds(node) for key, node in nodes.items()}
    total = sum(madds.values())
    best: dict[int, ExitPlace] = {}
    for path, calls in tensors.items():
        if len(calls) != 1 or len(calls[0].shape) != 4:
            continue
        if id(functional.producer(calls[0])) not in nodes:
            continue  # It serves an earlier exit alone.
        before = {
            id(node) for node in functional.ancestors(calls, set())
        } & nodes.keys()
        spent = sum(madds[key] for key in before)
        if not 0 < spent < total:
            continue
        crossing = _crossing(nodes, before)
        place = ExitPlace(
            path,
            spent,
            spent / total,
            len(crossing),
            sum(math.prod(each.shape[1:]) for each in crossing),
            tuple(calls[0].shape[1:]),
        )
        # A map of one pixel beside another tensor only weighs that one.
        if place.tensors > (1 if place.shape[:2] == (1, 1) else MOST_TENSORS):
            continue
        other = best.get(spent)
        if other is None or _burden(place) <= _burden(other):
            best[spent] = place
    return tuple(best[spent] for spent in sorted(best))


def by_cost(places: Sequence[ExitPlace], count: int) -> tuple[ExitPlace, ...]:
    """Chooses places by about equal steps of multiply-adds.

    As few tensors cross as there are places for near each step. Of those within
    a quarter of a step the one with the fewest bytes counts.

    Raises:
        ValueError: If there are not as many places.
    """
    if not 0 < count <= len(places):
        raise ValueError(
            f"`at` must be from 1 to {len(places)}, the number of places where "
            f"an exit can be attached, or name layers. Received: at={count}"
        )
    step = 1 / (count + 1)
    targets = [step * (index + 1) for index in range(count)]
    cheap = _cheap(places, targets, step)
    chosen: list[ExitPlace] = []
    for index, target in enumerate(targets):
        # As many must be left as exits are to follow.
        first = cheap.index(chosen[-1]) + 1 if chosen else 0
        left = cheap[first : len(cheap) - count + index + 1]
        chosen.append(_nearest(left, target, step / 4))
    return tuple(chosen)


def _cheap(places, targets, tolerance):
    """Returns the places with so few tensors that each target has one near."""
    for most in range(1, MOST_TENSORS):
        cheap = [place for place in places if place.tensors <= most]
        if len(cheap) >= len(targets) and all(
            any(abs(place.share - target) <= tolerance for place in cheap)
            for target in targets
        ):
            return cheap
    return list(places)


def _nearest(places, target, tolerance):
    near = [place for place in places if abs(place.share - target) <= tolerance]
    if near:
        return min(near, key=lambda place: place.bytes)
    return min(places, key=lambda place: abs(place.share - target))


def _crossing(nodes, before):
    """Returns the tensors made by some calls that the other calls read."""
    made = {id(each) for key in before for each in nodes[key].outputs}
    crossing = {}
    for key, node in nodes.items():
        if key not in before:
            for tensor in node.input_tensors:
                if id(tensor) in made:
                    crossing[id(tensor)] = tensor
    return list(crossing.values())


def _burden(place):
    return place.tensors, place.bytes
