"""Lists what is in a bundle: tensors, operators, how much XNNPACK runs."""

import collections
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflite import bundle
from tflite.bundle import completeness, server_places
from tflite.diagnosis import delegation
from tflite.format import model_file
from tflite.runtime import interpreter


@dataclass(frozen=True)
class Tensor:
    """Describes a tensor that enters or leaves a segment.

    Attributes:
        name: In the segment's signature.
        shape: For one image.
        dtype: Such as "int8".
        scale: What one step of an integer stands for; None in float.
        zero_point: The integer that stands for 0; None in float.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True)
class Contents:
    """Lists what a segment's file holds.

    Attributes:
        inputs: In the order of the manifest.
        outputs: In the order of the manifest.
        operators: How many there are of each kind, the most frequent first.
        delegation: What XNNPACK takes of them.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: Mapping[str, int]
    delegation: delegation.Delegation


def contents(opened: bundle.Bundle, place: int) -> Contents:
    """Reads a segment and loads it once.

    Raises:
        bundle.InvalidBundle: if its file is not the manifest's, or lacks a
            tensor that the manifest names.
        flatbuffer.InvalidModel: if it is not a sound model, or may not be run.
        interpreter.Refused: if the interpreter does not take it.
    """
    facts, data = opened.segments[place], opened.model(place)
    model = interpreter.Verified(data, facts.file)
    whole = model_file.read(data, facts.file)
    graph = whole.subgraphs[0]
    named = {
        side: {
            model_file.text(entry.name): _tensor(
                graph.tensors[entry.tensorIndex]
            )
            for signature in whole.signatureDefs or []
            for entry in getattr(signature, side) or []
        }
        for side in ("inputs", "outputs")
    }
    codes = [model_file.operator_name(each) for each in whole.operatorCodes]
    kinds = collections.Counter(
        codes[each.opcodeIndex] for each in graph.operators
    )
    return Contents(
        inputs=_chosen(facts.file, facts.wiring.inputs, named["inputs"]),
        outputs=_chosen(facts.file, facts.wiring.outputs, named["outputs"]),
        operators=dict(sorted(kinds.items(), key=lambda kind: -kind[1])),
        delegation=delegation.delegation(model),
    )


def _check_image(file: str, tensor: Tensor, facts: bundle.InputFacts) -> None:
    """Checks that the manifest's image is the one that the model takes."""
    expected = ((1, *facts.shape), facts.dtype)
    if (found := (tensor.shape, tensor.dtype)) != expected:
        raise bundle.InvalidBundle(
            f"`{file}` must take images as the manifest says, {expected}. "
            f"Received: {found}"
        )


def report(opened: bundle.Bundle) -> dict[str, Any]:
    """Returns all that can be said of a bundle, as JSON values.

    Raises:
        ValueError: as `contents`.
    """
    segments = []
    for place, facts in enumerate(opened.segments):
        found = contents(opened, place)
        if place == 0:
            _check_image(facts.file, found.inputs[0], opened.input)
        segments.append(facts.to_dict() | dataclasses.asdict(found))
    points = opened.operating_points
    return {
        "name": opened.name,
        "labels": list(opened.labels),
        "input": dataclasses.asdict(opened.input),
        "segments": segments,
        "exits": [
            {
                "exit": exit,
                "madds": opened.madds[exit],
                "params": sum(
                    each["params"]
                    for each in segments[: end + 1]
                    if not each["bypass"]
                ),
                "bytes": sum(each["bytes"] for each in segments[: end + 1]),
                "crossing": _crossing(opened, segments, end + 1),
            }
            for exit, end in enumerate(opened.ends)
        ],
        "archive_bytes": completeness.archive_bytes(opened),
        "not_in_manifest": list(completeness.foreign(opened)),
        "policy": opened.policy.to_dict(),
        "operating_points": {
            name: points[name].to_dict() for name in sorted(points)
        },
        "calibration": (
            None
            if opened.calibration is None
            else dataclasses.asdict(opened.calibration)
        ),
        "provenance": dict(opened.provenance),
    }


def _crossing(opened, segments, place) -> dict[str, Any]:
    """Says what later segments read that is there before one of them runs."""
    tensors = {
        each["name"]: each
        for segment in segments[:place]
        for each in (*segment["inputs"], *segment["outputs"])
    }
    wirings = [facts.wiring for facts in opened.segments]
    names = server_places.crossing(wirings, place)
    return {
        "tensors": list(names),
        "bytes": sum(
            math.prod(tensors[name]["shape"])
            * np.dtype(tensors[name]["dtype"]).itemsize
            for name in names
        ),
    }


def _tensor(tensor) -> Tensor:
    from ai_edge_litert import schema_py_generated as schema

    types = {
        number: name.lower() for name, number in vars(schema.TensorType).items()
    }
    facts = tensor.quantization
    quantized = facts is not None and facts.scale is not None
    scales = list(facts.scale) if quantized else []
    zeros = list(facts.zeroPoint) if quantized else []
    return Tensor(
        name=model_file.text(tensor.name),
        shape=tuple(map(int, [] if tensor.shape is None else tensor.shape)),
        dtype=types[tensor.type],
        scale=float(scales[0]) if len(scales) == 1 else None,
        zero_point=int(zeros[0]) if len(scales) == len(zeros) == 1 else None,
    )


def _chosen(file, names, found) -> tuple[Tensor, ...]:
    missing = [name for name in names if name not in found]
    if missing:
        raise bundle.InvalidBundle(
            f"`{file}` must have the tensors {list(names)}. "
            f"Received: {sorted(found)}"
        )
    return tuple(dataclasses.replace(found[name], name=name) for name in names)
