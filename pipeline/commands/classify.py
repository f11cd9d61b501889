"""`keras-dynamic classify`: runs a bundle on image files."""

import json
import pathlib
from collections.abc import Sequence

import numpy as np

from tflite.harness import Harness, Result


def run(flags, positional: Sequence[str]) -> None:
    """Prints label, probability, exit and milliseconds of each image.

    An image that cannot be read is named, the others are still classified,
    and the command fails at the end.
    """
    if not positional:
        raise ValueError("keras-dynamic classify takes image files")
    failed = []
    with Harness(flags.bundle) as harness:
        for path in positional:
            try:
                result = harness.classify(_pixels(path, harness))
            except (ValueError, OSError) as error:
                failed.append(f"{path}: {error}")
                continue
            print(_line(path, result, as_json=flags.json))
    if failed:
        raise ValueError("; ".join(failed))


def _pixels(path: str, harness: Harness) -> np.ndarray:
    """Reads an image file as `prepare` and the evaluation do."""
    try:
        from pipeline import image
    except ImportError as error:
        raise ImportError(
            "Reading image files needs the extra 'images': "
            "install keras-dynamic[images]"
        ) from error
    height, _, channels = harness.bundle.input.shape
    stored = harness.bundle.provenance.get("stored_size", height)
    decoded = image.decode(pathlib.Path(path).read_bytes())
    start = (stored - height) // 2
    window = slice(start, start + height)
    return image.fit(decoded, stored, channels)[window, window]


def _line(path: str, result: Result, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(
            {
                "file": path,
                "label": result.label,
                "index": result.index,
                "probabilities": [float(p) for p in result.probabilities],
                "exit": result.exit,
                "segment_ms": list(result.segment_ms),
            }
        )
    segments = " + ".join(f"{ms:.3f}" for ms in result.segment_ms)
    return (
        f"{path}: {result.label} ({result.probabilities.max():.1%}) at exit "
        f"{result.exit}, {sum(result.segment_ms):.3f} ms ({segments})"
    )
