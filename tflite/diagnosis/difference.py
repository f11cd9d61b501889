"""Tells how an int8 model differs from another one of the same network."""

import itertools
from typing import NamedTuple

import numpy as np

from tflite.diagnosis import stored_numbers
from tflite.format import model_file

_MOST = 8
_KINDS = {0: "float32", 1: "float16", 2: "int32", 7: "int16", 9: "int8"}


def differences(before: bytes, after: bytes) -> list[str]:
    """Names the changes, in the order of the graph.

    Operators belong together if what they give has the same name. Where two
    models come from two trainings, all weights differ: this says little then.

    Args:
        before: A .tflite model.
        after: Another one.

    Returns:
        Sentences, the last of them for all that are too many.

    Raises:
        flatbuffer.InvalidModel: If one is damaged.
    """
    old, new = _operators(before), _operators(after)
    lines = []
    for name, each in new.items():
        if name in old:
            changes = _changes(old[name], each)
        else:
            changes = [f"{each.code} was not there"]
        lines += [f"{name}: {change}" for change in changes]
    lines += [
        f"{name}: {each.code} is gone"
        for name, each in old.items()
        if name not in new
    ]
    if len(lines) > _MOST:
        lines[_MOST:] = [f"and {len(lines) - _MOST} more differences"]
    return lines


class _Operator(NamedTuple):
    code: str
    kind: str
    scale: list[float]
    zero_point: list[int]
    constants: list[np.ndarray]


def _operators(model: bytes) -> dict[str, _Operator]:
    """Returns the operators in order, by the name of their output."""
    contents = model_file.read(model)
    [graph] = contents.subgraphs
    codes = [model_file.operator_name(each) for each in contents.operatorCodes]
    found = {}
    for operator in graph.operators:
        output = graph.tensors[operator.outputs[0]]
        scale, zero_point, _ = stored_numbers.quantization(output)
        held = [
            stored_numbers.constant(contents, graph.tensors[index])
            for index in operator.inputs
            if index >= 0
        ]
        found[model_file.text(output.name)] = _Operator(
            codes[operator.opcodeIndex],
            _KINDS.get(output.type, f"type {output.type}"),
            scale,
            zero_point,
            [each for each in held if each is not None],
        )
    return found


def _changes(old: _Operator, new: _Operator) -> list[str]:
    found = [
        f"{what} {now} instead of {was}"
        for what, was, now in (
            ("operator", old.code, new.code),
            ("type", old.kind, new.kind),
            ("zero point", old.zero_point, new.zero_point),
            ("scale", old.scale, new.scale),
        )
        if was != now
    ]
    for was, now in itertools.zip_longest(old.constants, new.constants):
        if was is None or now is None or was.shape != now.shape:
            found.append(f"other constants of {new.code}")
        elif not np.array_equal(was, now):
            change = np.linalg.norm(now - was) / (np.linalg.norm(was) or 1.0)
            found.append(
                f"constants of {new.code} differ by {100 * change:.1f} %"
            )
    return found
