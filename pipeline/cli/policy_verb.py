"""Carries out `keras-dynamic policy`: refits a finished bundle's thresholds."""

import math
from collections.abc import Sequence

from pipeline.policies import operating_points
from pipeline.policies.refit import Refit
from pipeline.processes import printing
from pipeline.results import cost_table
from tflite import bundle

_TARGETS = ("max_drop", "budget_ms", "budget_madds")


def run(flags, positional: Sequence[str]) -> None:
    """Fits a policy, rewrites the bundle and prints the policy's promises.

    Raises:
        ValueError: If the flags cannot be used, no policy does what is asked
            for, or the bundle cannot be refitted.
    """
    if len(positional) != 1:
        raise ValueError(
            "keras-dynamic policy takes one bundle. "
            f"Received: {' '.join(positional) or 'none'}"
        )
    given = [each for each in _TARGETS if getattr(flags, each) is not None]
    if len(given) + (flags.remove is not None) != 1:
        raise ValueError(
            "keras-dynamic policy needs one of --max_drop, --budget_ms, "
            "--budget_madds and --remove. "
            f"Received: {', '.join(given) or 'none'}"
        )
    for name in ("exit_ms", "costs"):
        if getattr(flags, name) is not None and flags.budget_madds is not None:
            raise ValueError(f"--{name} is for --budget_ms and --max_drop only")
    if flags.exit_ms is not None and flags.costs is not None:
        raise ValueError("--exit_ms and --costs say the same; give one")
    [path] = positional
    if flags.remove is not None:
        operating_points.remove(path, flags.remove)
        printing.show(f"operating point {flags.remove} removed")
        return
    found = operating_points.fit(
        path,
        flags.name,
        max_drop=None if flags.max_drop is None else flags.max_drop / 100,
        budget_madds=flags.budget_madds,
        budget_ms=flags.budget_ms,
        exit_ms=_exit_ms(flags, path),
    )
    printing.show(_text(found, flags.name))


def _exit_ms(flags, path: str) -> list[float] | None:
    """Returns the milliseconds up to each exit that the flags give."""
    if flags.costs is not None:
        return cost_table.read(flags.costs).exit_ms(bundle.read(path))
    return flags.exit_ms and _numbers(flags.exit_ms)


def _numbers(texts: Sequence[str]) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        raise ValueError(
            f"`exit_ms` must be numbers. Received: {','.join(texts)}"
        ) from None


def _text(found: Refit, name: str | None) -> str:
    policy, last = found.policy, found.last
    rows = {
        "policy": "default" if name is None else f"operating point {name}",
        "fitted": ", ".join(
            f"{key} {value:.6g}" if type(value) is float else f"{key} {value}"
            for key, value in policy.fitted.items()
            if key not in ("accuracy", "mean_cost", "promise")
        ),
        "promise": policy.fitted["promise"],
        "accuracy": f"{found.accuracy:.2%}, of the last exit "
        f"{last.accuracy:.2%}",
        "mean cost": f"{found.mean_madds / 1e6:.4g} M multiply-adds of "
        f"{last.mean_madds / 1e6:.4g} M up to the last exit "
        f"({found.mean_madds / last.mean_madds:.1%})",
    }
    if found.mean_ms is not None:
        rows["mean time"] = (
            f"{found.mean_ms:.4g} ms of {last.mean_ms:.4g} ms up to the last "
            f"exit ({found.mean_ms / last.mean_ms:.1%})"
        )
    rows["exit shares"] = "  ".join(
        f"{share:6.1%}" for share in found.exit_shares
    )
    rows["thresholds"] = "  ".join(
        f"{threshold:6.4f}" if enabled else "   off"
        for threshold, enabled in zip(
            policy.thresholds, policy.enabled, strict=True
        )
    )
    lines = [f"{key:12} {value}" for key, value in rows.items()]
    if policy.fitted.get("status") == "last_exit_affordable":
        lines.append("The budget pays for the last exit for every image.")
    if found.better_exit is not None:
        lines.append(
            f"Stopping every image at exit {found.better_exit} is more "
            "accurate and costs no more."
        )
    # With gates: see `refit`.
    budget = policy.fitted.get("budget", math.inf)
    if found.mean_ms is None and found.mean_madds > budget:
        lines.append(
            "What the gates left to run is more than the budget; ask for less."
        )
    return "\n".join(lines)
