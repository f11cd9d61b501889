"""Names the causes of a metric that failed."""

from collections.abc import Collection, Mapping

from pipeline.gate import reference, swaps
from pipeline.gate.measured import Measured
from tflite import bundle
from tflite.cutting import split
from tflite.diagnosis import delegation, difference

# What a policy says of an exit.
_WORDS = {
    "thresholds": "threshold",
    "temperatures": "temperature",
    "enabled": "enabled",
}


def in_the_layers(failed: Collection[str]) -> bool:
    """Tells whether metrics failed that the int8 model's layers decide."""
    return _any(failed, "accuracy", "agreement", "logit_error", "limits")


def in_the_data(failed: Collection[str], measured: Measured) -> list[str]:
    """Names exchanged classes at each model's first exit that shows them."""
    lines = []
    if not _any(failed, "accuracy", "agreement"):
        return lines
    for kind, answers in measured.answers.items():
        for k, said in enumerate(answers):
            found = swaps.swaps(measured.truth, said, measured.labels)
            lines += [f"{kind} model, exit {k}: {line}" for line in found]
            if found:
                break
    return lines


def in_the_bundle(
    failed: Collection[str], model: bytes, shipped: bundle.Bundle
) -> list[str]:
    """Names segments of another model, and operators that XNNPACK leaves."""
    lines = []
    if _any(failed, "mismatches"):
        lines += _other_segments(model, shipped)
    if _any(failed, "partitions", "not_delegated"):
        lines += _left(shipped)
    return lines


def in_the_policies(
    failed: Collection[str],
    measured: Measured,
    policies: Mapping[str, Mapping],
) -> list[str]:
    """Names the settings of each policy that changed, exit by exit.

    Args:
        failed: Names of the metrics that failed.
        measured: Measurement with the policies of now.
        policies: Policies of the reference, by name.
    """
    lines = []
    if not any(name.startswith("policy_") for name in failed):
        return lines
    for name, policy in measured.policies.items():
        now, before = reference.settings(policy.to_dict()), policies.get(name)
        if before is None or before == now:
            continue
        if len(before["thresholds"]) != policy.exits:
            lines.append(f"policy {name}: another number of exits")
            continue
        if before["kind"] != now["kind"]:
            lines.append(
                f"policy {name}: kind {now['kind']}, {before['kind']} in the "
                "reference"
            )
        for k in range(policy.exits):
            changes = [
                f"{word} {now[key][k]:.4g} instead of {before[key][k]:.4g}"
                for key, word in _WORDS.items()
                if now[key][k] != before[key][k]
            ]
            if changes:
                lines.append(f"policy {name}, exit {k}: {', '.join(changes)}")
    return lines


def _any(failed: Collection[str], *endings: str) -> bool:
    return any(name.endswith(endings) for name in failed)


def _left(shipped: bundle.Bundle) -> list[str]:
    """Names the operators that XNNPACK leaves, segment by segment."""
    lines = []
    for place, facts in enumerate(shipped.segments):
        found = delegation.delegation(shipped.model(place))
        if not found.complete:
            left = ", ".join(found.left) or "nothing"
            lines.append(
                f"{facts.file}: {found.partitions} delegated partitions; "
                f"left to the built-in kernels: {left}"
            )
    return lines


def _other_segments(model: bytes, shipped: bundle.Bundle) -> list[str]:
    """Names segments of the bundle that differ from those of the model."""
    names = [f"exit_{k}" for k in range(shipped.policy.exits)]
    cut = split.split(model, names)
    if len(cut) != len(shipped.segments):
        return [
            f"the bundle has {len(shipped.segments)} segments, but the model "
            f"is cut into {len(cut)}"
        ]
    return [
        f"{facts.file} is not what the model is cut into: {line}"
        for place, facts in enumerate(shipped.segments)
        for line in difference.differences(
            cut[place].model, shipped.model(place)
        )
    ]
