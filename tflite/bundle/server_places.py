"""Says where segments run: on the device, or the last ones on a server."""

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

from tflite.bundle.invalid_bundle import InvalidBundle
from tflite.bundle.wiring import Wiring

SERVER = "server"

_FactsT = TypeVar("_FactsT")


def check(wirings: Sequence[Wiring], places: Sequence[str | None]) -> None:
    """Checks that a server's segments are all of those behind an exit.

    So there is one cut, and an answer on the device without the server.

    Args:
        wirings: Of the chain, in the order in which its segments run.
        places: Of each, "server" or None.

    Raises:
        InvalidBundle: if they are not.
    """
    if SERVER not in places:
        return
    first = places.index(SERVER)
    behind_exit = first > 0 and wirings[first - 1].exit is not None
    if not behind_exit or None in places[first:]:
        raise InvalidBundle(
            '`place` must be "server" for all segments behind an exit, or '
            f"for none. Received: {list(places)}"
        )


def placed(segments: Sequence[_FactsT], device_exits: int) -> list[_FactsT]:
    """Returns the facts of segments with their places.

    Args:
        segments: `SegmentFacts` of the chain.
        device_exits: How many exits the device reaches by itself; the segments
            behind them are the server's.

    Raises:
        ValueError: If that is not from 1 to the number of exits.
    """
    exits = sum(each.wiring.exit is not None for each in segments)
    if type(device_exits) is not int or not 0 < device_exits <= exits:
        raise ValueError(
            f"`device_exits` must be a number from 1 to {exits}, that of the "
            f"bundle's exits. Received: {device_exits!r}"
        )
    done, found = 0, []
    for each in segments:
        place = SERVER if done >= device_exits else None
        found.append(dataclasses.replace(each, place=place))
        done += each.wiring.exit is not None
    return found


def crossing(wirings: Sequence[Wiring], place: int) -> tuple[str, ...]:
    """Names the tensors that cross into the segments from a place on.

    Args:
        wirings: Of the chain, in the order in which its segments run.
        place: Of the first segment behind the cut.

    Returns:
        What these read, gates among it, and none of them gives: the image, or
        outputs of segments before; in the order in which it is first read.
    """
    given: set[str] = set()
    found: dict[str, None] = {}
    for each in wirings[place:]:
        read = each.inputs if each.gate is None else (*each.inputs, each.gate)
        found |= dict.fromkeys(name for name in read if name not in given)
        given |= {*each.outputs}
    return tuple(found)
