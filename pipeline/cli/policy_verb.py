"""`keras-dynamic policy`: other thresholds for a bundle that is finished."""

import math
import os
import pathlib
import re
import shutil
from collections.abc import Mapping, Sequence

from absl import logging

from keras_dynamic import exits
from pipeline.policies import refit
from pipeline.policies.refit import Refit
from pipeline.processes import printing
from pipeline.storage import publishing
from tflite import bundle
from tflite.bundle import manifest

_TARGETS = ("max_drop", "budget_ms", "budget_madds")


def run(flags, positional: Sequence[str]) -> None:
    """Fits a policy, writes the bundle anew and prints what it promises.

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
    if flags.exit_ms is not None and flags.budget_madds is not None:
        raise ValueError("--exit_ms is for --budget_ms and --max_drop only")
    if flags.name is not None:
        manifest.check_point_name(flags.name)
    [path] = positional
    if os.path.isfile(path):
        raise ValueError(
            "keras-dynamic policy needs the directory of a bundle: what a "
            f"policy is fitted to is not in {bundle.ARCHIVE}. Received: {path}"
        )
    # From reading to publishing, else another one's point would be lost.
    with publishing.alone(path):
        said = _change(flags, bundle.read(path))
    printing.show(said)


def _change(flags, opened: bundle.Bundle) -> str:
    """Publishes the bundle with other policies; returns what is to be said."""
    points = dict(opened.operating_points)
    if flags.remove is not None:
        if points.pop(flags.remove, None) is None:
            raise ValueError(
                "--remove must name an operating point: "
                f"{', '.join(sorted(points)) or 'there is none'}. "
                f"Received: {flags.remove}"
            )
        _publish(opened, opened.policy, points)
        return f"operating point {flags.remove} removed"
    found = _fit(flags, opened)
    if flags.name is None:
        _publish(opened, found.policy, points)
    else:
        _publish(opened, opened.policy, {**points, flags.name: found.policy})
    return _text(found, flags.name)


def _fit(flags, opened: bundle.Bundle) -> Refit:
    exit_ms = flags.exit_ms and _numbers(flags.exit_ms)
    if flags.max_drop is not None:
        drop = flags.max_drop / 100
        return refit.refit(opened, max_drop=drop, exit_ms=exit_ms)
    if flags.budget_madds is not None:
        return refit.refit(opened, budget=flags.budget_madds)
    if exit_ms is None:
        exit_ms = refit.measure(opened)
        logging.info(
            "measured here: %s ms up to each exit",
            ", ".join(f"{ms:.4g}" for ms in exit_ms),
        )
    return refit.refit(opened, budget=flags.budget_ms, exit_ms=exit_ms)


def _numbers(texts: Sequence[str]) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        raise ValueError(
            f"`exit_ms` must be numbers. Received: {','.join(texts)}"
        ) from None


def _publish(
    opened: bundle.Bundle,
    policy: exits.Policy,
    points: Mapping[str, exits.Policy],
) -> None:
    """Replaces the bundle by one with these; other files go along."""
    there = "|".join(map(re.escape, publishing.names(opened.directory)))
    with publishing.published(
        opened.directory, re.compile(there), held=True
    ) as stage:
        bundle.rewrite(
            opened, str(stage), policy=policy, operating_points=points
        )
        for other in pathlib.Path(opened.directory).iterdir():
            if (stage / other.name).exists():
                continue
            if other.is_dir() and not other.is_symlink():
                shutil.copytree(
                    other,
                    stage / other.name,
                    symlinks=True,
                    copy_function=_keep,
                )
            else:
                _keep(other, stage / other.name)


def _keep(source: str | os.PathLike, target: str | os.PathLike) -> None:
    """Makes a file that is not ours one of the new directory, too.

    By another name for it, whatever it is: it may be a pipe, or have a terabyte
    that is not on the disk.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # A file system without hard links.
        shutil.copy2(source, target, follow_symlinks=False)


def _text(found: Refit, name: str | None) -> str:
    policy, last = found.policy, found.last
    rows = {
        "policy": "default" if name is None else f"operating point {name}",
        "fitted": ", ".join(
            f"{key} {value:.6g}" if type(value) is float else f"{key} {value}"
            for key, value in policy.fitted.items()
            if key not in ("accuracy", "mean_cost")
        ),
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
    # With gates: see `refit`.
    budget = policy.fitted.get("budget", math.inf)
    if found.mean_ms is None and found.mean_madds > budget:
        lines.append(
            "What the gates left to run is more than the budget; ask for less."
        )
    return "\n".join(lines)
