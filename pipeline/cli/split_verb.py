"""Carries out `keras-dynamic split`: cuts any .tflite at outputs and gates."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.cli import columns
from pipeline.processes import printing
from tflite.cutting import counting, split
from tflite.cutting.split import Segment


def run(flags, positional: Sequence[str]) -> None:
    """Writes the models of the chain, and prints a table of their contents.

    Raises:
        ValueError: If it is not one file, or cannot be cut.
    """
    if len(positional) != 1:
        raise ValueError(
            "keras-dynamic split takes one .tflite file. "
            f"Received: {' '.join(positional) or 'none'}"
        )
    segments = split.write(
        positional[0], flags.output, gates=not flags.exits_only
    )
    report = [facts(place, each) for place, each in enumerate(segments)]
    if flags.json:
        printing.show_json({"segments": report})
    else:
        printing.show(text(report))


def facts(place: int, segment: Segment) -> dict[str, Any]:
    """Returns the facts about a segment, as JSON values."""
    wiring = segment.wiring
    return {
        "file": split.file_name(place),
        "exit": wiring.exit,
        "gate": wiring.gate,
        "bypass": wiring.bypass,
        "inputs": list(wiring.inputs),
        "outputs": list(wiring.outputs),
        "operators": segment.operators,
        **dataclasses.asdict(counting.count(segment.model)),
        "bytes": len(segment.model),
    }


def text(segments: Sequence[Mapping[str, Any]]) -> str:
    """Returns the `facts` of all segments as two tables.

    Tensors are numbered, t0, t1, ..., and their names listed in the second
    table, since converters give them names that fill a line.
    """
    segments = printing.visible_values(segments)
    numbers: dict[str, str] = {}
    for each in segments:
        for name in (*each["inputs"], *each["outputs"]):
            numbers.setdefault(name, f"t{len(numbers)}")
    rows = [
        (
            "segment",
            "exit",
            "gate",
            "inputs",
            "outputs",
            "multiply-adds",
            "parameters",
            "bytes",
        )
    ]
    for each in segments:
        gate = "" if each["gate"] is None else numbers[each["gate"]]
        rows.append(
            (
                each["file"],
                "" if each["exit"] is None else str(each["exit"]),
                "else" if each["bypass"] else gate,
                " ".join(numbers[name] for name in each["inputs"]),
                " ".join(numbers[name] for name in each["outputs"]),
                f"{each['madds']:,}",
                f"{each['params']:,}",
                f"{each['bytes']:,}",
            )
        )
    names = [
        ("", "tensor"),
        *((number, name) for name, number in numbers.items()),
    ]
    return "\n\n".join(
        [
            columns.table(rows, "<><<<>>>", flexible=3),
            columns.table(names, "><", flexible=1),
        ]
    )
