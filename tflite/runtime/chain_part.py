"""Runs some segments of a bundle, one after another, on tensors by name."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tflite.bundle import server_places
from tflite.runtime.open_bundle import OpenBundle


class ChainPart:
    """Runs the segments from one place to another. Not thread-safe.

    Where a chain is cut between two machines, each of them runs a part. Tensors
    are copied in and out; for a whole chain on one machine take `Harness`.

    Args:
        opened: The bundle, without gates.
        begin: Place of the first segment.
        end: Place behind the last one.

    Attributes:
        inputs: Shape and type of the tensors that it needs from outside, by
            name.
        exits: The exits that it reaches, in order.

    Raises:
        ValueError: if the bundle has gates.
        bundle.InvalidBundle: if a segment is not what the manifest says.
    """

    def __init__(self, opened: OpenBundle, begin: int, end: int):
        segments = opened.bundle.segments
        if opened.bundle.gated:
            raise ValueError(
                "`opened` must be a bundle without gates, if it shall run in "
                f"parts. Received: {opened.bundle.name!r}"
            )
        self._wirings = [each.wiring for each in segments[begin:end]]
        self._loaded = [opened.load(place) for place in range(begin, end)]
        self._runners = [each.get_signature_runner() for each in self._loaded]
        self.exits = tuple(
            each.exit for each in self._wirings if each.exit is not None
        )
        details: dict[str, Any] = {}
        for runner in self._runners:
            details = {**runner.get_input_details(), **details}
        self.inputs = {
            name: (
                tuple(map(int, details[name]["shape"])),
                np.dtype(details[name]["dtype"]),
            )
            for name in server_places.crossing(self._wirings, 0)
        }
        self._logits = {
            wiring.exit: runner.get_output_details()[wiring.outputs[0]]
            for wiring, runner in zip(self._wirings, self._runners, strict=True)
            if wiring.exit is not None
        }

    def exits_of(
        self, tensors: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[int, np.ndarray, dict[str, np.ndarray]]]:
        """Yields each exit that it reaches, running its segments only then.

        Args:
            tensors: Those of `inputs`, [1, ...].

        Yields:
            The exit, its logits as the segment gives them, [C], and all
            tensors so far, by name.

        Raises:
            ValueError: if a tensor is missing, or has another shape or type.
        """
        known = dict(tensors)
        for name, (shape, dtype) in self.inputs.items():
            found = known.get(name)
            if found is None or (found.shape, found.dtype) != (shape, dtype):
                received = found is not None and (found.shape, found.dtype)
                raise ValueError(
                    f"`tensors` must have {name!r} of the shape {shape} and "
                    f"type {dtype}. Received: {received or 'none'}"
                )
        for wiring, runner in zip(self._wirings, self._runners, strict=True):
            known |= runner(**{name: known[name] for name in wiring.inputs})
            if wiring.exit is not None:
                yield wiring.exit, known[wiring.outputs[0]][0], known

    def numbers(self, exit: int, logits: np.ndarray) -> np.ndarray:
        """Returns the numbers that an exit's logits stand for, float64 [C]."""
        scale, zero_point = self._logits[exit]["quantization"]
        if not scale:
            return logits.astype(np.float64)
        return scale * (logits.astype(np.float64) - zero_point)
