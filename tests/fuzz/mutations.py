"""What is done to a model or a bundle before someone tries to run it.

A mutation takes a `random.Random` and what it changes, and returns something
new; the same random numbers always give the same result.
"""

import copy
import functools
import json
import math
import random
import struct
from typing import Any

import numpy as np
import places

from tflite.format import model_file

# Numbers that arithmetic, indices and sizes go wrong with.
EXTREMES = (
    *(0, 1, -1, 2, 3, 5, 7, 8, 16, 127, 128, -128, 255, 256, 1000, 4096, 65535),
    *(65536, 10**6, 2**24, 2**30, 2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**40),
    *(2**53, 2**62, 2**63 - 1, -(2**63)),
)
FLOATS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 1e-3, 1e-30, 1e-38, 1e-45, 1e30, 3e38, 256.0),
    *(math.inf, -math.inf, math.nan, -1e-3, 127.0, 1 / 255, 1 / 256),
)
_CODES = {"b": 8, "B": 8, "?": 8, "h": 16, "H": 16, "i": 32, "I": 32}
_CODES |= {"q": 64, "Q": 64}


def prepare(model: bytes) -> None:
    """Reads a model once, for all processes that are forked later."""
    places.find(model)
    _read(model)


def flipped(model: bytes, rng: random.Random) -> bytes:
    """Changes one to eight bits or bytes anywhere."""
    changed = bytearray(model)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(len(changed))
        changed[at] = rng.choice(
            (changed[at] ^ 1 << rng.randrange(8), rng.randrange(256), 0, 255)
        )
    return bytes(changed)


def resized(model: bytes, rng: random.Random) -> bytes:
    """Truncates, extends, cuts a piece out or repeats one."""
    start, end = sorted(rng.randrange(len(model) + 1) for _ in range(2))
    return rng.choice(
        (
            lambda: model[:start],
            lambda: model[: -rng.randrange(1, 64)],
            lambda: model + rng.randbytes(rng.randrange(1, 4096)),
            lambda: model + bytes(rng.randrange(1, 64)),
            lambda: model[:start] + model[end:],
            lambda: model[:end] + model[start:],
            lambda: bytes(rng.randrange(64)) + model,
        )
    )()


def aimed(model: bytes, rng: random.Random) -> bytes:
    """Changes one to three numbers of a kind of field drawn first.

    So that a vector of strides is hit as often as the many names.
    """
    found: dict[str, list[places.Place]] = {}
    for place in places.find(model):
        found.setdefault(place.field, []).append(place)
    changed = bytearray(model)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place = rng.choice(found[rng.choice(sorted(found))])
        struct.pack_into(
            "<" + place.code,
            changed,
            place.at,
            _number(
                rng,
                place.code,
                struct.unpack_from("<" + place.code, changed, place.at)[0],
            ),
        )
    return bytes(changed)


def _number(rng: random.Random, code: str, old: float) -> float:
    """Draws a number that fits a `struct` code."""
    if code == "f":
        return rng.choice(
            (rng.choice(FLOATS[:11]), old * 2, -old, rng.choice(FLOATS))
        )
    if code == "?":
        return rng.random() < 0.5
    bits = _CODES[code]
    new = rng.choice(
        (
            old + rng.choice((-4, -2, -1, 1, 2, 4)),
            old * 2,
            rng.choice(EXTREMES),
            rng.randrange(16),
            rng.getrandbits(bits),
            old ^ 1 << rng.randrange(bits),
        )
    )
    new %= 2**bits
    return new - 2**bits if code.islower() and new >> bits - 1 else new


def edited(model: bytes, rng: random.Random) -> bytes:
    """Changes one to three fields of the decoded model and packs it again.

    The result is a sound flatbuffer that says something else.
    """
    whole = copy.deepcopy(_read(model))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice(_EDITS)(whole, rng)
    try:
        return model_file.write(whole)
    except (struct.error, TypeError, OverflowError, ValueError):
        return edited(model, rng)  # Not a number that the field can hold.


_read = functools.cache(model_file.read)


def _edit_tensor(whole, rng: random.Random) -> None:
    tensor = rng.choice(whole.subgraphs[0].tensors)
    shape = [int(each) for each in _list(tensor.shape)]
    what = rng.randrange(6)
    if what == 0 and shape:
        shape[rng.randrange(len(shape))] = rng.choice(
            (0, 1, 2, 3, 5, 8, 64, 1000, 65536, 2**31 - 1, -1)
        )
        tensor.shape = shape
    elif what == 1:
        rng.choice(
            (
                lambda: shape.insert(rng.randrange(len(shape) + 1), 1),
                lambda: shape and shape.pop(rng.randrange(len(shape))),
                lambda: rng.shuffle(shape),
                lambda: shape.extend([1] * rng.randrange(8)),
            )
        )()
        tensor.shape = shape
    elif what == 2:
        tensor.type = rng.randrange(20)
    elif what == 3:
        tensor.buffer = rng.randrange(len(whole.buffers))
    elif what == 4:
        tensor.shapeSignature = [-1, *shape[1:]]
    else:
        tensor.quantization = copy.deepcopy(
            rng.choice(whole.subgraphs[0].tensors).quantization
        )


def _edit_quantization(whole, rng: random.Random) -> None:
    given = [
        each.quantization
        for each in whole.subgraphs[0].tensors
        if each.quantization is not None
    ]
    if not given:
        return
    facts = rng.choice(given)
    scales = [float(each) for each in _list(facts.scale)]
    points = [int(each) for each in _list(facts.zeroPoint)]
    what = rng.randrange(5)
    if what == 0 and scales:
        scales[rng.randrange(len(scales))] = rng.choice(FLOATS)
    elif what == 1 and points:
        points[rng.randrange(len(points))] = rng.choice(EXTREMES)
    elif what == 2:
        scales = scales[: rng.randrange(len(scales) + 1)]
        points = points[: len(scales)]
    elif what == 3:
        scales, points = scales * 2, points * 2
    else:
        facts.quantizedDimension = rng.choice(EXTREMES[:9])
    facts.scale, facts.zeroPoint = scales, points


def _edit_operator(whole, rng: random.Random) -> None:
    graph = whole.subgraphs[0]
    operator = rng.choice(graph.operators)
    other = rng.choice(graph.operators)
    inputs = [int(each) for each in _list(operator.inputs)]
    outputs = [int(each) for each in _list(operator.outputs)]
    what = rng.randrange(8)
    any_tensor = rng.randrange(-1, len(graph.tensors))
    if what == 0 and inputs:
        inputs[rng.randrange(len(inputs))] = any_tensor
    elif what == 1:
        inputs.insert(rng.randrange(len(inputs) + 1), any_tensor)
    elif what == 2 and inputs:
        inputs.pop(rng.randrange(len(inputs)))
    elif what == 3:
        rng.shuffle(inputs)
    elif what == 4:
        operator.opcodeIndex = rng.randrange(len(whole.operatorCodes))
    elif what == 5:
        operator.builtinOptionsType = other.builtinOptionsType
        operator.builtinOptions = copy.deepcopy(other.builtinOptions)
    elif what == 6 and outputs:
        outputs[rng.randrange(len(outputs))] = any_tensor
    else:
        where = rng.randrange(len(graph.operators))
        graph.operators.insert(where, copy.deepcopy(other))
    operator.inputs, operator.outputs = inputs, outputs


def _edit_options(whole, rng: random.Random) -> None:
    given = [
        each.builtinOptions
        for each in whole.subgraphs[0].operators
        if each.builtinOptions is not None and vars(each.builtinOptions)
    ]
    if not given:
        return
    options = rng.choice(given)
    name = rng.choice(sorted(vars(options)))
    old = getattr(options, name)
    if isinstance(old, bool):
        setattr(options, name, not old)
    elif isinstance(old, int):
        setattr(
            options, name, rng.choice((*EXTREMES[:20], 2**31 - 1, -(2**31)))
        )
    elif isinstance(old, float):
        setattr(options, name, rng.choice(FLOATS))
    else:
        setattr(options, name, [rng.choice(EXTREMES[:20]) for _ in range(4)])


def _edit_code(whole, rng: random.Random) -> None:
    code = rng.choice(whole.operatorCodes)
    number = rng.randrange(210)
    code.builtinCode = number
    code.deprecatedBuiltinCode = min(number, 127)
    code.version = rng.choice((1, 1, 2, 3, 4, 5, 99))


def _edit_constant(whole, rng: random.Random) -> None:
    graph = whole.subgraphs[0]
    # Small ones are axes, shapes and paddings.
    given = [
        each
        for each in graph.tensors
        if whole.buffers[each.buffer].data is not None
        and (each.type == 2 or rng.random() < 0.2)
    ]
    if not given:
        return
    tensor = rng.choice(given)
    data = bytearray(bytes(whole.buffers[tensor.buffer].data))
    if len(data) < 4:
        data[:] = rng.randbytes(len(data))
    else:
        at = rng.randrange(len(data) // 4) * 4
        struct.pack_into("<I", data, at, rng.choice(EXTREMES) % 2**32)
    whole.buffers[tensor.buffer].data = np.frombuffer(bytes(data), np.uint8)


def _edit_ends(whole, rng: random.Random) -> None:
    graph = whole.subgraphs[0]
    side = rng.choice(("inputs", "outputs"))
    indices = [int(each) for each in _list(getattr(graph, side))]
    if rng.random() < 0.5 and indices:
        indices[rng.randrange(len(indices))] = rng.randrange(len(graph.tensors))
    else:
        indices.append(rng.randrange(len(graph.tensors)))
    setattr(graph, side, indices)
    if rng.random() < 0.7:
        for signature in whole.signatureDefs or []:
            for entry, index in zip(
                getattr(signature, side), indices, strict=False
            ):
                entry.tensorIndex = index


_EDITS = (
    *(_edit_tensor, _edit_tensor, _edit_quantization, _edit_operator),
    *(_edit_operator, _edit_options, _edit_options, _edit_code),
    *(_edit_constant, _edit_ends),
)


def _list(values) -> list:
    return [] if values is None else list(values)


def manifest(data: bytes, rng: random.Random) -> bytes:
    """Changes one to three values of a JSON file, or how it is written."""
    values = json.loads(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _edit_json(values, rng)
    text = json.dumps(values)
    what = rng.randrange(12)
    if what == 0:
        return flipped(text.encode(), rng)
    if what == 1:
        return resized(text.encode(), rng)
    if what == 2:  # The same key twice.
        at = text.index("{") + 1
        return (text[:at] + '"name": 1, "policy": {}, ' + text[at:]).encode()
    return text.encode(rng.choice(("utf-8",) * 8 + ("utf-16", "utf-32")))


def policy(data: bytes, rng: random.Random) -> bytes:
    """Changes the policy of a manifest."""
    values = json.loads(data)
    exits = len(values["policy"]["thresholds"])
    for _ in range(rng.choice((1, 1, 2, 3))):
        _edit_json(values["policy"], rng)
    if rng.random() < 0.3:
        classes = rng.choice((1, 4, 10, 1000))
        values["policy"]["kind"] = rng.choice(
            ("scheduler", "margin", "entropy", "patience", "max_probability")
        )
        values["policy"]["scheduler"] = {
            "weights": [
                [rng.choice((*FLOATS, 1)) for _ in range(classes + 2 + exit)]
                for exit in range(exits)
            ],
            "biases": [0.5] * exits,
        }
        if rng.random() < 0.5:
            _edit_json(values["policy"]["scheduler"], rng)
    return json.dumps(values).encode()


def hostile(rng: random.Random) -> Any:
    """Draws a JSON value that no honest manifest has in most places."""
    depth = rng.choice((10, 100))
    return rng.choice(
        (
            lambda: rng.choice(EXTREMES),
            lambda: rng.choice((10**30, 10**400, -(10**30))),
            lambda: rng.choice(FLOATS),
            lambda: rng.choice(
                (None, True, False, "", {}, [], [None], {"a": 1})
            ),
            lambda: rng.choice(PATHS),
            lambda: "x" * rng.choice((1_000, 3_000_000)),
            lambda: rng.choice(("\0", "é", "\ud800", "\n", "a/b", "..", " ")),
            lambda: [0] * rng.choice((1, 7, 100_000)),
            lambda: [rng.choice(EXTREMES) for _ in range(3)],
            lambda: nested([], depth),
        )
    )()


def nested(inner: Any, depth: int) -> Any:
    """Returns `inner` in `depth` lists."""
    for _ in range(depth):
        inner = [inner]
    return inner


PATHS = (
    "/etc/passwd",
    "/dev/zero",
    "../outside.tflite",
    "../../outside.tflite",
    "./exit_0.tflite",
    "sub/exit_0.tflite",
    "C:\\outside.tflite",
    "..\\outside.tflite",
    "manifest.json",
    "labels.txt",
    ".",
    "..",
    "exit_0.tflite\0",
    "exit_0.tflite/",
    "NUL",
)


def _edit_json(values: Any, rng: random.Random) -> None:
    """Changes one place of nested lists and objects."""
    found = list(_containers(values))
    container = rng.choice(found)
    keys = list(
        container if isinstance(container, dict) else range(len(container))
    )
    if not keys or rng.random() < 0.1:
        if isinstance(container, dict):
            key = rng.choice(("x", "gate", "bypass", "name", "scheduler", ""))
            container[key] = hostile(rng)
        else:
            container.append(hostile(rng))
        return
    key = rng.choice(keys)
    what = rng.randrange(8)
    if what == 0:
        del container[key]
    elif what == 1:
        container[key] = copy.deepcopy(rng.choice(found))
    elif what == 2 and isinstance(container, list):
        container.append(copy.deepcopy(container[key]))
    elif what == 3 and isinstance(container, list):
        rng.shuffle(container)
    else:
        container[key] = hostile(rng)


def _containers(values: Any):
    if isinstance(values, dict | list) and values is not None:
        yield values
        inner = values.values() if isinstance(values, dict) else values
        for each in inner:
            yield from _containers(each)
