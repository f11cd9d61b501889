"""Runs the stages of an experiment in order, each if its inputs changed."""

import contextlib
import dataclasses
import importlib
import pathlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import ml_collections
from absl import logging

from pipeline import sources
from pipeline.config import validated
from pipeline.processes import heartbeat, libraries
from pipeline.results import origin, own_files, stage_results
from pipeline.results.layout import Layout
from pipeline.results.versions import VERSIONS
from pipeline.storage import (
    fingerprint,
    json_file,
    publishing,
    workdir_lock,
)
from pipeline.training import named_files


@dataclasses.dataclass(frozen=True)
class Stage:
    """Describes a stage, and the inputs that decide whether it has to run.

    Attributes:
        entry: The function that carries it out, "module:function".
        sections: Parts of the configuration that it reads.
        needs: Stages whose results it reads.
        makes: Results that it writes, attributes of `Layout`; "results" is
            the file of its measurements, `Layout.results_of`.
        extras: Results that it writes, too, but that the stages that need it
            can do without.
        foresight: The function that tells from the configuration alone what
            the stage would refuse, "module:function", or "".
    """

    entry: str
    sections: tuple[str, ...]
    needs: tuple[str, ...]
    makes: tuple[str, ...]
    extras: tuple[str, ...] = ()
    foresight: str = ""


# Modules are imported when they are needed.
STAGES = {
    "prepare": Stage(
        "pipeline.prepare.prepare_images:stage", ("data",), (), ("data",)
    ),
    "train": Stage(
        "pipeline.training.train:train",
        ("model", "train", "seed"),
        ("prepare",),
        ("float_model",),
        foresight="pipeline.training.foresight:check",
    ),
    "evaluate": Stage(
        "pipeline.training.evaluate:evaluate",
        (),
        ("train",),
        ("results", "float_predictions"),
    ),
    "quantize": Stage(
        "pipeline.quantization.quantize:quantize",
        ("quantize", "seed"),
        ("evaluate",),
        ("results", "qat_model"),
        foresight="pipeline.quantization.int8_support:check",
    ),
    "convert": Stage(
        "pipeline.quantization.convert:convert",
        ("policy", "name"),
        ("quantize",),
        ("results", "tflite", "bundle"),
    ),
    "check": Stage(
        "pipeline.gate.check:check",
        ("check",),
        ("evaluate", "convert"),
        (),
        ("results",),
    ),
    "benchmark": Stage(
        "pipeline.benchmarking.benchmark:benchmark",
        ("benchmark",),
        ("convert",),
        (),
        ("results", "benchmark"),
    ),
    "report": Stage(
        "pipeline.pages.report:report",
        (),
        ("check", "benchmark"),
        ("report",),
    ),
}


# They read what the others make and write results of their own: several may
# run at once, by themselves.
_READING = ("check", "benchmark", "report")


def run(
    config: ml_collections.ConfigDict,
    layout: Layout,
    names: Sequence[str],
    *,
    arguments: Mapping[str, Mapping[str, Any]] | None = None,
    skip_finished: bool,
) -> dict[str, Any]:
    """Runs some stages in order.

    After each, metrics.json holds the measurements that stages have made of the
    model and the bundle that are there then.

    Args:
        config: The configuration.
        layout: Paths of the results.
        names: Stages, in the order of `STAGES`.
        arguments: Keyword arguments of the functions of some stages, beside
            configuration and layout, by the stages' names.
        skip_finished: Whether to leave out a stage that has finished with the
            same configuration, data, version and results of the stages it
            needs.

    Returns:
        The value that each stage returned, by its name; None if the stage was
        left out.

    Raises:
        ValueError: If the configuration does not fit the schema, something
            that is not ours is where a stage would write, or another process
            writes the working directory, before any of them runs; if what a
            stage needs is not there, or the stage fails.
    """
    validated(config)
    with _held(layout, names):
        return _run(
            config, layout, names, arguments or {}, skip_finished=skip_finished
        )


def _held(
    layout: Layout, names: Sequence[str]
) -> contextlib.AbstractContextManager[None]:
    """Holds the working directory, unless a single stage only reads from it."""
    if layout.root.exists() and not layout.root.is_dir():
        raise ValueError(
            f"`workdir` must be a directory. Received: {layout.root}, a file"
        )
    # It will say what it lacks, and no directory is made for that.
    futile = not layout.root.exists() and STAGES[names[0]].needs
    if futile or (len(names) == 1 and names[0] in _READING):
        return contextlib.nullcontext()
    return workdir_lock.held(layout.root)


def _run(
    config: ml_collections.ConfigDict,
    layout: Layout,
    names: Sequence[str],
    arguments: Mapping[str, Mapping[str, Any]],
    *,
    skip_finished: bool,
) -> dict[str, Any]:
    """Runs some stages in order; see `run`."""
    prints = _fingerprints(config)
    stale = stage_results.publish(layout)

    def unchanged(name: str) -> bool:
        return (
            skip_finished
            and name not in stale
            and _finished(name, prints[name], layout)
        )

    to_run = set()
    for name in names:
        if not unchanged(name):
            to_run |= {name, *_dependents(name)}
        if name in to_run:
            _check_free(name, layout)
    # The first one says by itself what it cannot do.
    for name in [each for each in names if each in to_run][1:]:
        if foresight := STAGES[name].foresight:
            with heartbeat.beating(name):
                heartbeat.note("checking what can be known before")
                _imported(foresight)(config)
    made = dict.fromkeys(names)
    for name in names:
        if unchanged(name):
            logging.info("%s: unchanged", name)
            continue
        for needed in STAGES[name].needs:
            _check_there(name, needed, layout, stale)
        publishing.write_json(layout.config, _settings(config, layout, name))
        for dependent in (name, *_dependents(name)):
            (layout.stages / f"{dependent}.json").unlink(missing_ok=True)
        logging.info("%s ...", name)
        start = time.monotonic()
        try:
            with heartbeat.beating(name):
                heartbeat.note("loading the libraries it needs")
                function = _imported(STAGES[name].entry)
                made[name] = function(config, layout, **arguments.get(name, {}))
        finally:
            # What it measured counts also where it then fails, as `check` may.
            stale = stage_results.publish(layout)
        seconds = time.monotonic() - start
        ran = {"fingerprint": prints[name], "seconds": seconds}
        mark = layout.stages / f"{name}.json"
        publishing.write_json(mark, {**ran, **origin.here(name)})
        logging.info("%s: %.1f s", name, seconds)
    if stale:
        logging.info(
            "metrics.json is without what was measured of an earlier model, "
            "policy or data; run again: %s",
            ", ".join(stale),
        )
    return made


def _check_there(
    name: str, needed: str, layout: Layout, stale: Collection[str]
) -> None:
    """Raises ValueError if a stage lacks what another one makes."""
    makes = STAGES[needed].makes
    advice = f"`{name}` needs what `keras-dynamic {needed}` makes. "
    if missing := _missing(needed, makes, layout):
        raise ValueError(f"{advice}Missing: {missing}")
    if "results" in makes and needed in stale:
        raise ValueError(
            f"{advice}Received: {layout.results_of(needed)}, which is about "
            "another model or other data than those that are there"
        )


def _settings(config, layout: Layout, name: str) -> dict[str, Any]:
    """Returns the settings that each stage was run with last, or will be.

    A stage does not change what those before it were run with: `benchmark`
    without the flags of the training says nothing of the training.
    """
    settings = config.to_dict()
    if layout.config.exists():
        before = json_file.read(layout.config)
        order = list(STAGES)
        for earlier in order[: order.index(name)]:
            for section in STAGES[earlier].sections:
                settings[section] = before.get(section, settings[section])
    return settings


def _dependents(name: str) -> list[str]:
    """Lists the stages that read, directly or not, what a stage makes."""
    found = [name]
    for other, stage in STAGES.items():
        if set(stage.needs) & set(found):
            found.append(other)
    return found[1:]


def _imported(place: str) -> Callable:
    module, _, function = place.partition(":")
    with libraries.quiet():
        return getattr(importlib.import_module(module), function)


def _fingerprints(config) -> dict[str, str]:
    """Returns a hash, per stage, of all that its result depends on."""
    settings = config.to_dict()
    prints = {}
    for name, stage in STAGES.items():
        parts = [settings[section] for section in stage.sections]
        parts += [prints[needed] for needed in stage.needs]
        if name == "prepare":
            source = sources.build(
                config.data.source, **config.data.source_options
            )
            parts.append(source.state())
        if name == "train":
            parts.append(named_files.hashes(config))
        prints[name] = fingerprint.of(name, VERSIONS[name], parts)
    return prints


def _check_free(name: str, layout: Layout) -> None:
    """Raises ValueError if a stage would replace what is not ours."""
    for made in (*STAGES[name].makes, *STAGES[name].extras):
        path = _path(name, made, layout)
        files = own_files.OF_STAGES.get(made)
        if made == "data" and path.is_symlink():
            continue  # Whether that or its target is replaced `prepare` knows.
        publishing.check_replaceable(path, files)


def _finished(name, expected, layout) -> bool:
    mark = layout.stages / f"{name}.json"
    written = (*STAGES[name].makes, *STAGES[name].extras)
    if not mark.exists() or _missing(name, written, layout):
        return False
    try:
        return json_file.read(mark).get("fingerprint") == expected
    except ValueError:  # A mark that nobody can read marks nothing.
        return False


def _missing(name, results, layout) -> str:
    """Returns the path of the first missing result, or an empty string."""
    for made in results:
        path = _path(name, made, layout)
        if not path.exists():
            return str(path)
    return ""


def _path(name, made, layout) -> pathlib.Path:
    if made == "results":
        return layout.results_of(name)
    return getattr(layout, made)
