"""Describes the tensors that segments hand on: who needs whose results."""

import dataclasses
from collections.abc import Sequence

from tflite.bundle.invalid_bundle import InvalidBundle


@dataclasses.dataclass(frozen=True)
class Wiring:
    """Describes how a segment takes part in its chain.

    Attributes:
        inputs: Tensor names: the image, or outputs of earlier segments (of
            any, not only of the one before).
        outputs: Tensor names, the exit's logits first.
        exit: The exit that it ends, from 0 (shallowest); None if it ends none.
        gate: Name of an earlier segment's output, one number per image. Where
            that is 0 the segment need not run: its bypass does or, if the next
            one is none, its outputs are all 0. None if it always runs.
        bypass: Whether it runs where the segment before it, which has a gate,
            does not, and gives outputs of the same names.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    exit: int | None
    gate: str | None = None
    bypass: bool = False


def check(segments: Sequence[Wiring]) -> None:
    """Checks that the image and earlier segments can feed every segment.

    Args:
        segments: The chain, in the order in which they run; at least one.

    Raises:
        InvalidBundle: if an input, a gate or a bypass does not fit what comes
            before, or an output has the name of another tensor.
    """
    if len(segments[0].inputs) != 1:
        raise InvalidBundle(
            "`segments[0].inputs` must name one tensor, the image. "
            f"Received: {list(segments[0].inputs)}"
        )
    known = set(segments[0].inputs)
    computed: set[str] = set()
    for index, segment in enumerate(segments):
        where = f"segments[{index}]"
        if segment.bypass:
            _check_bypass(
                where, segments[index - 1] if index else None, segment
            )
            replaced = set(segment.outputs)
            known -= replaced
            computed -= replaced
        given = set(segment.inputs)
        if not given <= known or not 0 < len(given) == len(segment.inputs):
            raise InvalidBundle(
                f"`{where}.inputs` must be the image or outputs of earlier "
                f"segments, {sorted(known)}, each once. "
                f"Received: {list(segment.inputs)}"
            )
        if segment.gate is not None and segment.gate not in computed:
            raise InvalidBundle(
                f"`{where}.gate` must be an output of an earlier segment, one "
                f"of {sorted(computed)}. Received: {segment.gate!r}"
            )
        if segment.gate is not None and segment.exit is not None:
            raise InvalidBundle(
                f"`{where}` must not have a gate, as it ends an exit. "
                f"Received: exit {segment.exit}, gate {segment.gate!r}"
            )
        new = set(segment.outputs)
        if not new or len(new) < len(segment.outputs) or new & known:
            raise InvalidBundle(
                f"`{where}.outputs` must be names of its own. "
                f"Received: {list(segment.outputs)}"
            )
        known |= new
        computed |= new


def _check_bypass(where: str, before: Wiring | None, segment: Wiring) -> None:
    if before is None or before.gate is None:
        raise InvalidBundle(
            f"`{where}.bypass` must be of a segment behind one with a gate. "
            "Received: one behind none"
        )
    if segment.gate is not None or segment.exit is not None:
        raise InvalidBundle(
            f"`{where}` must have no gate and end no exit, as it is a bypass. "
            f"Received: exit {segment.exit}, gate {segment.gate!r}"
        )
    if segment.outputs != before.outputs:
        raise InvalidBundle(
            f"`{where}.outputs` must be those of the segment that it bypasses, "
            f"{list(before.outputs)}. Received: {list(segment.outputs)}"
        )
