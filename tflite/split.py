"""Cuts a multi-output .tflite model into one model per exit.

The cut follows from the graph alone. Segment k holds the operators that exit k
needs and that no earlier exit ran, so that running the segments in turn
computes each operator once, at most, and gives the uncut model's outputs bit
for bit: a tensor that crosses a cut keeps its type, scale and zero point.
"""

import copy
import dataclasses
import json
import os
import shutil
from collections import Counter
from collections.abc import Sequence

from tflite import flatbuffer

SIGNATURE = "serving_default"

# Of the original's metadata entries only this one is true of every part: the
# oldest runtime that has all operators. Segments run no newer ones.
_LASTING_METADATA = b"min_runtime_version"


class CannotSplit(ValueError):
    """A sound model that has no cut into one segment per output."""


@dataclasses.dataclass(frozen=True)
class Segment:
    """One model of the chain.

    Attributes:
        exit: Its place in the chain, from 0 (shallowest).
        output: Name of the exit's output, as in the original signature.
        model: The .tflite file, with one signature, "serving_default".
        inputs: Names of its inputs: graph inputs, then outputs of earlier
            segments (of any, not only of the one before).
        outputs: Names of its outputs: `output`, then what later ones read.
        operators: How many operators it runs.
    """

    exit: int
    output: str
    model: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: int


def split(
    model: bytes, order: Sequence[str] | None = None
) -> tuple[Segment, ...]:
    """Cuts `model` into one segment per output, shallow to deep.

    An exit's depth is the number of operators it needs, those that compute
    constants aside; ties go by output name. The order in which the converter
    lists the outputs does not matter. Operators keep their order. What no
    output needs is left out, as are the original's metadata and associated
    files. A model with a single output is one segment.

    Args:
        model: A .tflite file.
        order: The outputs' names in the order of the segments, if it is not
            that of depth: an ensemble of exits may need more operators than
            the exit after it.

    Raises:
        flatbuffer.InvalidModel: if `model` is damaged, or has control flow or
            variables.
        CannotSplit: if it has the same tensor as two outputs, an output that
            adds no operator, or other outputs than `order`.
    """
    whole = flatbuffer.read(model)
    graph = whole.subgraphs[0]
    names = _tensor_names(whole)
    static, varying = _static_operators(graph)
    exits = _ordered_exits(graph, names, varying, order)
    parts: list[set[int]] = []
    # Where a tensor comes from: a segment or, -1, the graph's inputs. What is
    # constant comes from nowhere, each segment has its own.
    origin = dict.fromkeys(_tensors(graph.inputs), -1)
    for k, (_, needed) in enumerate(exits):
        parts.append(needed.difference(*parts))
        origin.update(dict.fromkeys(_written(graph, parts[k]), k))
    reads = [
        {t for t in _read_by(graph, part) if origin.get(t, k) < k}
        for k, part in enumerate(parts)
    ]
    segments = []
    for k, (logits, _) in enumerate(exits):
        inputs = sorted(reads[k], key=lambda t: (origin[t], t))
        later = set().union(*reads[k + 1 :]) - {logits}
        outputs = [logits, *sorted(t for t in later if origin[t] == k)]
        constants = _ancestors(graph, _read_by(graph, parts[k]), static)
        part = sorted(parts[k] | constants)
        segments.append(
            Segment(
                exit=k,
                output=names[logits],
                model=_assemble(whole, part, inputs, outputs, names),
                inputs=tuple(names[t] for t in inputs),
                outputs=tuple(names[t] for t in outputs),
                operators=len(part),
            )
        )
    return tuple(segments)


def write(model_path: str, output_directory: str) -> tuple[Segment, ...]:
    """Splits a file into `segment_0.tflite` ... and `segments.json`.

    The directory, which must be new or empty, appears whole or not at all.

    Raises:
        ValueError: as `split`, if the model has a single output, or if
            `output_directory` holds something.
    """
    if os.path.exists(output_directory) and (
        not os.path.isdir(output_directory) or os.listdir(output_directory)
    ):
        raise ValueError(
            "`output_directory` must be new or empty. "
            f"Received: {output_directory}"
        )
    with open(model_path, "rb") as file:
        segments = split(file.read())
    if len(segments) < 2:
        raise CannotSplit(
            "`model` must have two outputs or more. "
            f"Received: {segments[0].output!r} alone"
        )
    target = os.path.abspath(output_directory)
    unfinished = f"{target}.unfinished-{os.getpid()}"
    os.makedirs(unfinished)
    try:
        facts = []
        for segment in segments:
            row = dataclasses.asdict(segment)
            row |= {"file": f"segment_{segment.exit}.tflite"}
            with open(os.path.join(unfinished, row["file"]), "wb") as file:
                row["bytes"] = file.write(row.pop("model"))
            facts.append(row)
        with open(os.path.join(unfinished, "segments.json"), "w") as file:
            json.dump({"segments": facts}, file, indent=2)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return segments


def _tensors(indices: Sequence[int] | None) -> list[int]:
    """Returns the tensors among `indices`; -1 is an optional one not given."""
    return [] if indices is None else [int(i) for i in indices if i != -1]


def _tensor_names(model) -> list[str]:
    """Names every tensor, uniquely; signature names come first."""
    tensors = model.subgraphs[0].tensors
    given = {}
    for signature in (model.signatureDefs or [])[:1]:
        for entry in [*(signature.inputs or []), *(signature.outputs or [])]:
            name = entry.name.decode()
            if given.setdefault(entry.tensorIndex, name) != name:
                raise CannotSplit(
                    "`model` must not have one tensor as two inputs or "
                    "outputs. Received: "
                    f"{given[entry.tensorIndex]!r} and {name!r}"
                )
    names: dict[int, str] = {}
    taken: set[str] = set()
    copies: Counter[str] = Counter()
    for index in dict.fromkeys([*given, *range(len(tensors))]):
        base = given.get(index) or (tensors[index].name or b"").decode()
        name = base = base or f"tensor_{index}"
        while name in taken:
            copies[base] += 1
            name = f"{base}_{copies[base]}"
        taken.add(name)
        names[index] = name
    return [names[index] for index in range(len(tensors))]


def _ordered_exits(
    graph, names: list[str], varying: set[int], order: Sequence[str] | None
) -> list[tuple[int, set[int]]]:
    """Returns each output tensor and the operators it needs, in exit order."""
    outputs = _tensors(graph.outputs)
    listed = [names[tensor] for tensor in outputs]
    if not outputs or len(set(outputs)) < len(outputs):
        raise CannotSplit(
            "`model` must have outputs, all of them different. "
            f"Received: {listed}"
        )
    exits = [(t, _ancestors(graph, {t}, varying)) for t in outputs]
    if order is None:
        exits.sort(key=lambda exit: (len(exit[1]), names[exit[0]], exit[0]))
    elif sorted(order) != sorted(listed):
        raise CannotSplit(
            f"`order` must name each of {sorted(listed)} once. "
            f"Received: order={list(order)}"
        )
    else:
        exits.sort(key=lambda exit: order.index(names[exit[0]]))
    before: set[int] = set()
    for tensor, needed in exits:
        if needed <= before:
            raise CannotSplit(
                f"`model` output {names[tensor]!r} must be computed by an "
                "operator of its own. Received: an input, a constant, or a "
                f"second result of another exit's operator, of {listed}"
            )
        before |= needed
    return exits


def _static_operators(graph) -> tuple[set[int], set[int]]:
    """Separates the operators that constants alone feed from the others.

    One that turns float16 weights into float32, say. Its result must not cross
    a cut: XNNPACK folds it into the weights and leaves the output unwritten,
    and a convolution with weights that come in at run time leaves XNNPACK.
    """
    static: set[int] = set()
    varying: set[int] = set()
    tensors = set(_tensors(graph.inputs))
    for index, operator in enumerate(graph.operators or []):
        if tensors.isdisjoint(_tensors(operator.inputs)):
            static.add(index)
        else:
            varying.add(index)
            tensors.update(_tensors(operator.outputs))
    return static, varying


def _ancestors(graph, tensors: set[int], among: set[int]) -> set[int]:
    """Returns the operators `among` these that `tensors` depend on."""
    found: set[int] = set()
    waiting = set(tensors)
    for index in sorted(among, reverse=True):
        if not waiting.isdisjoint(_tensors(graph.operators[index].outputs)):
            found.add(index)
            waiting.update(_tensors(graph.operators[index].inputs))
    return found


def _read_by(graph, part: set[int]) -> set[int]:
    return {t for i in part for t in _tensors(graph.operators[i].inputs)}


def _written(graph, part: set[int]) -> set[int]:
    return {t for i in part for t in _tensors(graph.operators[i].outputs)}


def _assemble(
    whole, part: list[int], inputs: list[int], outputs: list[int], names
) -> bytes:
    """Packs the operators `part` of `whole` as a model of their own."""
    from ai_edge_litert import schema_py_generated as schema

    graph = whole.subgraphs[0]
    operators = [copy.copy(graph.operators[index]) for index in part]
    used = {*inputs, *outputs}
    for operator in operators:
        used.update(_tensors(operator.inputs), _tensors(operator.outputs))
        used.update(_tensors(operator.intermediates))
    place = {tensor: i for i, tensor in enumerate(sorted(used))}
    place[-1] = -1  # An optional tensor that is not given.

    def placed(indices: Sequence[int] | None) -> list[int] | None:
        return None if indices is None else [place[int(i)] for i in indices]

    codes = sorted({operator.opcodeIndex for operator in operators})
    for operator in operators:
        operator.opcodeIndex = codes.index(operator.opcodeIndex)
        operator.inputs = placed(operator.inputs)
        operator.outputs = placed(operator.outputs)
        operator.intermediates = placed(operator.intermediates)
        operator.debugMetadataIndex = -1

    # Buffer 0 is the empty one by convention. Tensors that shared a buffer
    # still do.
    buffers = [schema.BufferT()]
    moved = {}

    def move(index: int) -> int:
        if not len(_data(whole.buffers[index])):
            return 0
        if index not in moved:
            moved[index] = len(buffers)
            buffers.append(whole.buffers[index])
        return moved[index]

    tensors = []
    for index in sorted(used):
        tensor = copy.copy(graph.tensors[index])
        tensor.name = names[index]
        tensor.buffer = move(tensor.buffer)
        tensors.append(tensor)
    metadata = []
    for entry in whole.metadata or []:
        if entry.name == _LASTING_METADATA:
            entry = copy.copy(entry)
            entry.buffer = move(entry.buffer)
            metadata.append(entry)

    def named(indices: list[int]) -> list:
        return [schema.TensorMapT(names[i], place[i]) for i in indices]

    subgraph = schema.SubGraphT(
        tensors=tensors,
        inputs=placed(inputs),
        outputs=placed(outputs),
        operators=operators,
        name=graph.name,
    )
    signature = schema.SignatureDefT(
        inputs=named(inputs),
        outputs=named(outputs),
        signatureKey=SIGNATURE,
        subgraphIndex=0,
    )
    return flatbuffer.write(
        schema.ModelT(
            version=whole.version,
            operatorCodes=[whole.operatorCodes[index] for index in codes],
            subgraphs=[subgraph],
            description=whole.description,
            buffers=buffers,
            metadata=metadata,
            signatureDefs=[signature],
        )
    )


def _data(buffer) -> Sequence[int]:
    return () if buffer.data is None else buffer.data
