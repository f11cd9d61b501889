"""The tensors that segments hand on: who needs whose results."""

from collections.abc import Sequence
from typing import Any

from tflite.bundle.invalid_bundle import InvalidBundle


def check(segments: Sequence[Any]) -> None:
    """Checks that every segment can be fed by what comes before it.

    Args:
        segments: `manifest.SegmentFacts`, in the order in which they run; at
            least one.

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


def _check_bypass(where: str, before: Any, segment: Any) -> None:
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
