"""Keeps the results of each stage, and merges them into metrics.json.

A stage writes its own file, `results/<stage>.json`, and no other one. So two
stages at once lose nothing, and results of an earlier model or policy are left
out of metrics.json, and in it again when that model or policy is back.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.results import identity, metrics_file, tables
from pipeline.results.layout import Layout
from pipeline.results.overlay import overlay
from pipeline.storage import publishing

_FORMAT_VERSION = 1
# Whose numbers a stage adds to: without the one the other says nothing.
_AFTER = {
    "quantize": "evaluate",
    "convert": "quantize",
    "check": "convert",
    "benchmark": "convert",
}


@dataclasses.dataclass(frozen=True)
class Results:
    """Holds the measurements of a stage.

    Attributes:
        stage: Name of the stage.
        made_from: Hashes of what they are about; see `identity.identity`.
        metrics: The stage's part of metrics.json.
    """

    stage: str
    made_from: Mapping[str, str]
    metrics: Mapping[str, Any]


def keep(
    layout: Layout,
    stage: str,
    metrics: Mapping[str, Any],
    made_from: Mapping[str, str] | None = None,
) -> Results:
    """Writes the results of a stage, for `publish` to merge.

    Args:
        layout: The working directory.
        stage: One of `identity.ABOUT`.
        metrics: The stage's part of metrics.json.
        made_from: Hashes from `identity.identity`, taken before the stage read
            those files; None if the stage has just written them.

    Returns:
        The results that were written.
    """
    if made_from is None:
        made_from = identity.identity(layout, stage)
    found = Results(stage, made_from, metrics)
    publishing.write_json(
        layout.results_of(stage),
        {"format_version": _FORMAT_VERSION, **dataclasses.asdict(found)},
    )
    return found


def read(path: pathlib.Path) -> Results:
    """Reads the results of a stage.

    Raises:
        ValueError: If there are no results, or they are not of this version.
    """
    found = metrics_file.read_json(path, path.stem, _FORMAT_VERSION)
    return Results(found["stage"], found["made_from"], found["metrics"])


def publish(layout: Layout) -> Sequence[str]:
    """Merges the results that fit the files there into metrics.json.

    `exits.csv` and `curves.csv` follow. All three are removed if nothing that
    fits is left. A working directory of a version that kept no results stays
    as it is.

    Returns:
        The stages whose results are left out: they are about another model,
        other images or another policy, or add to such results.

    Raises:
        ValueError: If a file of results is damaged.
    """
    if not layout.results.is_dir():
        return ()
    # Else who read the results first could write metrics.json last.
    with publishing.alone(layout.results):
        fitting, stale = _sorted(layout)
        if "evaluate" in fitting:
            metrics = functools.reduce(overlay, fitting.values())
            metrics_file.write(layout.metrics, metrics)
            tables.publish(layout.exits_table, layout.curves_table, metrics)
        else:
            for path in (
                layout.metrics,
                layout.exits_table,
                layout.curves_table,
            ):
                path.unlink(missing_ok=True)
    return stale


def _sorted(layout: Layout) -> tuple[dict[str, Any], list[str]]:
    """Returns the metrics of the stages that fit, and the other stages."""
    now = identity.facts(layout)
    fitting, stale = {}, []
    for stage in identity.ABOUT:
        path = layout.results_of(stage)
        if not path.exists():
            continue
        found = read(path)
        if _AFTER.get(stage) in stale or not identity.fits(
            found.made_from, now
        ):
            stale.append(stage)
        else:
            fitting[stage] = found.metrics
    return fitting, stale
