"""`keras-dynamic split`: cuts any .tflite at its outputs and gates."""

from collections.abc import Sequence

from pipeline.processes import printing
from tflite.cutting import split


def define(flags) -> None:
    """Defines the verb's own flags."""
    flags.DEFINE_bool(
        "exits_only", False, "Whether to leave gates in one segment."
    )


def run(flags, positional: Sequence[str]) -> None:
    """Writes the models of the chain and prints what they hold."""
    if len(positional) != 1:
        raise ValueError(
            "keras-dynamic split takes one .tflite file. "
            f"Received: {' '.join(positional) or 'none'}"
        )
    segments = split.write(
        positional[0], flags.output, gates=not flags.exits_only
    )
    for place, segment in enumerate(segments):
        output = segment.output or "-"
        gate = f"  if {segment.gate}" if segment.gate else ""
        gate = "  else" if segment.bypass else gate
        line = (
            f"segment_{place}.tflite  {output}  "
            f"{segment.operators} operators  "
            f"{', '.join(segment.inputs)} -> {', '.join(segment.outputs)}{gate}"
        )
        printing.show(printing.visible(line))
