"""Finds the layers of the int8 model that stand out."""

import statistics
from collections.abc import Mapping, Sequence

from tflite.diagnosis.layer_error import LayerError

# Of a layer that is wrong, against what is usual for it.
_TIMES = 2.0
_AT_LEAST = 0.02
_MOST = 5


def suspects(
    errors: Sequence[LayerError], reference: Mapping[str, float]
) -> list[str]:
    """Names the layers whose own error has grown most, the worst first.

    Args:
        errors: Errors of all layers, in the order of the graph.
        reference: Own errors of a model that was agreed to, by layer. Where it
            is silent, the median of the errors counts as usual.
    """
    median = statistics.median(each.own for each in errors)

    def usual(error: LayerError) -> float:
        return reference.get(error.layer, median)

    found = [
        each
        for each in errors
        if each.own > _TIMES * usual(each)
        and each.own - usual(each) > _AT_LEAST
    ]
    found.sort(key=lambda each: usual(each) - each.own)
    named: dict[str, LayerError] = {}
    for each in found:
        named.setdefault(each.layer, each)
    lines = []
    for place, (layer, each) in enumerate(named.items(), 1):
        lines.append(
            f"layer {layer} (rank {place}): own error "
            f"{100 * each.own:.1f} % of its signal, "
            f"{100 * usual(each):.1f} % {_source(layer, reference)}; from the "
            f"image on {each.sqnr_db:.1f} dB, cosine {each.cosine:.4f}"
        )
    if not lines:
        worst = max(errors, key=lambda each: each.own)
        return [
            "no layer of the int8 model stands out against the float model: "
            f"the largest own error is that of {worst.layer}, "
            f"{100 * worst.own:.1f} % of its signal"
        ]
    if len(lines) > _MOST:
        lines[_MOST:] = [f"and {len(lines) - _MOST} more layers"]
    return lines


def own_errors(errors: Sequence[LayerError]) -> dict[str, float]:
    """Returns the largest own error per layer, as a reference holds it."""
    found: dict[str, float] = {}
    for each in errors:
        found[each.layer] = max(each.own, found.get(each.layer, 0.0))
    return {layer: round(error, 5) for layer, error in found.items()}


def _source(layer: str, reference: Mapping[str, float]) -> str:
    return "in the reference" if layer in reference else "is the median"
