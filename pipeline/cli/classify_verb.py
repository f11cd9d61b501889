"""Carries out `keras-dynamic classify`: runs a bundle on image files."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.processes import printing
from pipeline.storage.written_name import written
from tflite.format import files
from tflite.runtime.harness import Harness, Result


def run(flags, positional: Sequence[str]) -> None:
    """Prints the label, probability, exit and milliseconds of each image.

    If an image cannot be read, it is named, the others are still classified,
    and the command fails at the end.
    """
    if not positional:
        raise ValueError("keras-dynamic classify takes image files")
    failed = []
    with Harness(flags.bundle, **_options(flags)) as harness:
        for path in positional:
            try:
                pixels = _pixels(path, harness)
            except (ValueError, OSError) as error:
                reason = getattr(error, "strerror", None) or error
                failed.append(f"{written(path)}: {reason}")
                continue
            result = harness.classify(pixels, flags.point, flags.budget_ms)
            if flags.json:
                printing.show_json(_facts(written(path), result))
            else:
                printing.show(_line(written(path), result))
    if failed:
        raise ValueError("; ".join(failed))


def _options(flags) -> dict:
    told = [each.partition("=") for each in flags.delegate_option]
    if not all(equals for _, equals, _ in told):
        raise ValueError(
            "`delegate_option` must be NAME=VALUE. "
            f"Received: {', '.join(flags.delegate_option)}"
        )
    return {
        "threads": flags.threads,
        "xnnpack": flags.xnnpack,
        "delegate": flags.delegate,
        "delegate_options": {name: value for name, _, value in told},
        "memory_mapped": flags.memory_mapped,
        "strict": flags.strict,
    }


def _pixels(path: str, harness: Harness) -> np.ndarray:
    """Reads an image file in the way `prepare` and the evaluation do."""
    # What decodes is in the extra `images`.
    from pipeline.data import image, photograph

    content = files.read(path, image.MAX_BYTES)
    return photograph.pixels_for(content, harness.bundle.input)


def _facts(path: str, result: Result) -> dict[str, Any]:
    return {
        "file": path,
        "label": result.label,
        "index": result.index,
        "probabilities": [float(p) for p in result.probabilities],
        "exit": result.exit,
        "segment_ms": list(result.segment_ms),
        "stopped_by_budget": result.stopped_by_budget,
    }


def _line(path: str, result: Result) -> str:
    segments = " + ".join(f"{ms:.3f}" for ms in result.segment_ms)
    why = ", stopped by the budget" if result.stopped_by_budget else ""
    return printing.visible(
        f"{path}: {result.label} ({result.probabilities.max():.1%}) at exit "
        f"{result.exit}, {sum(result.segment_ms):.3f} ms ({segments}){why}"
    )
