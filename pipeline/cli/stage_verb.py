"""Carries out the verbs that are stages, and `run`, which is all of them."""

import json
import os
import pathlib
import sys
from collections.abc import Sequence

from pipeline import stages
from pipeline.processes import group, libraries, memory, printing
from pipeline.results.layout import Layout


def run(
    verb: str, flags, beam_args: Sequence[str], positional: Sequence[str] = ()
) -> None:
    """Runs one stage, or all of them; `report` takes working directories.

    Raises:
        ValueError: If what it needs is not there, or it fails.
        OSError: If one of several processes fails.
    """
    member = group.member()
    if member.count > 1 and verb != "train":
        raise ValueError(
            "Several processes can do nothing but train together. "
            f"Received: {verb}"
        )
    if verb == "train" and flags.processes > 1:
        _train_together(flags, member)
        return
    memory.keep_freed_memory()
    layout = Layout(pathlib.Path(flags.workdir).absolute())
    if member.number > 0:
        # What else the stage does is done by the first process.
        with libraries.quiet():
            from pipeline.training import train

        train.train(flags.config, layout)
        return
    stages.run(
        flags.config,
        layout,
        tuple(stages.STAGES) if verb == "run" else (verb,),
        arguments=_arguments(verb, flags, beam_args, positional),
        skip_finished=verb == "run",
    )
    if verb == "prepare":
        from pipeline.data import manifest, overview

        printing.show(overview.text(manifest.read(layout.data)))
    if verb == "benchmark":
        from pipeline.benchmarking import timetable

        found = layout.benchmark_json.read_text(encoding="utf-8")
        printing.show(timetable.text(json.loads(found)))
    if verb in ("run", "report"):
        from pipeline.results import metrics_file, side_by_side, summary

        printing.show(
            summary.text(
                metrics_file.read(layout.metrics),
                side_by_side.read_benchmark(layout),
            )
        )
        near = os.path.relpath(layout.report)
        inside = not near.startswith(os.pardir)
        printing.show(f"report      {near if inside else layout.report}")


def _arguments(verb, flags, beam_args, positional):
    """Returns the arguments that the command line gives to single stages."""
    arguments = {"prepare": {"beam_args": beam_args}}
    if verb == "check":
        arguments["check"] = {"request": _request(flags)}
    if verb == "report":
        others = [pathlib.Path(each).absolute() for each in positional]
        arguments["report"] = {"others": others}
    return arguments


def _request(flags):
    """Returns what `check` is to compare with, or None without --reference.

    Raises:
        ValueError: If there are flags that need --reference.
    """
    if not flags.reference:
        for name in ("update", "reference_model"):
            if getattr(flags, name):
                raise ValueError(f"--{name} needs --reference")
        return None
    from pipeline.gate import judge

    def path(value: str | None) -> pathlib.Path | None:
        return pathlib.Path(value) if value else None

    return judge.Request(
        reference=path(flags.reference),
        update=flags.update,
        output=path(flags.output),
        reference_model=path(flags.reference_model),
    )


def _train_together(flags, member: group.Member) -> None:
    """Starts processes that train together, and waits for them."""
    if member.count > 1:
        raise ValueError(
            "--processes starts processes on this machine, but this one is "
            f"already one of {member.count} by its environment"
        )
    group.check(
        flags.processes,
        batch_size=flags.config.train.batch_size,
        backend=os.environ["KERAS_BACKEND"],
    )
    again = "from pipeline.cli import main; main.main()"
    command = [sys.executable, "-c", again, *sys.argv[1:], "--processes=1"]
    group.run(command, flags.processes)
