"""`keras-dynamic split`: cuts any multi-output .tflite."""

from collections.abc import Sequence

from tflite import split


def run(flags, positional: Sequence[str]) -> None:
    """Writes one model per exit and prints what they hold."""
    if len(positional) != 1:
        raise ValueError(
            "keras-dynamic split takes one .tflite file. "
            f"Received: {' '.join(positional) or 'none'}"
        )
    for segment in split.write(positional[0], flags.output):
        print(
            f"segment_{segment.exit}.tflite  {segment.output}  "
            f"{segment.operators} operators  "
            f"{', '.join(segment.inputs)} -> {', '.join(segment.outputs)}"
        )
