"""Carries out `keras-dynamic sweep`.

It trains many configurations, and names the best at a budget.
"""

import contextlib
import math
import os
import re
import threading
from collections.abc import Iterator, Sequence

import apache_beam as beam
from absl import logging

from pipeline.beam import runners
from pipeline.processes import printing
from pipeline.storage import beam_files
from pipeline.sweep import leaderboard, sweep_experiments, sweep_job
from pipeline.sweep.sweep_job import Job


def build(pipeline: beam.Pipeline, flags) -> list[Job]:
    """Adds the steps of the sweep that the flags describe to a pipeline.

    Returns:
        The jobs of the sweep.

    Raises:
        ValueError: The flags cannot be used.
    """
    if not flags.config:
        raise ValueError("keras-dynamic sweep needs --config")
    directory = _directory(flags)
    runners.check_output(pipeline.options, directory)
    jobs = sweep_experiments.plan(
        flags.config,
        directory,
        seeds=_numbers("seeds", flags.seeds, int),
        overrides=_overrides(flags),
        terms=sweep_experiments.Terms(
            stages=flags.stages,
            timeout=flags.timeout,
            attempts=flags.attempts,
            keep=flags.keep,
        ),
    )
    sweep_experiments.build(
        pipeline,
        jobs,
        directory,
        budgets=_numbers("budget", flags.budget, float),
        accelerator=flags.accelerator,
    )
    return jobs


def run(flags, positional: Sequence[str], beam_args: Sequence[str]) -> None:
    """Runs the jobs that have not succeeded yet, and prints the tables.

    Raises:
        ValueError: The flags cannot be used, or jobs have failed.
        RuntimeError: The runner failed.
    """
    del positional
    options = runners.options(beam_args)
    pipeline = beam.Pipeline(options=options)
    jobs = build(pipeline, flags)
    if runners.is_template(options):
        runners.wait(pipeline)
        logging.info("%d jobs staged, to be run another time", len(jobs))
        return
    with _progress(jobs, _directory(flags)):
        runners.wait(pipeline)
    summary = sweep_experiments.read(_directory(flags))
    printing.show(sweep_experiments.text(summary))
    failed = [
        f"{found['name']} ({sweep_job.reason(found)})"
        for found in summary["jobs"]
        if not sweep_job.succeeded(found)
    ]
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(jobs)} jobs failed: {'; '.join(failed)}"
        )


def _directory(flags) -> str:
    if beam_files.is_local(flags.output):
        return os.path.abspath(flags.output)
    return flags.output


def _overrides(flags) -> dict[str, list[str]]:
    """Returns the values by key that --objectives and --set want tried."""
    found = {}
    if flags.objectives:
        found["train.objective"] = flags.objectives
    for text in filter(None, ";".join(flags.set).split(";")):
        key, _, values = text.partition("=")
        if not (key and values) or key in found:
            raise ValueError(
                "`set` must be KEY=VALUE[,VALUE...][;KEY=...], each key once. "
                f"Received: {text!r}"
            )
        # At commas outside of brackets: a value may be a tuple.
        found[key] = re.split(r",(?![^(\[{]*[)\]}])", values)
    return found


def _numbers(name: str, texts: Sequence[str], kind: type) -> list:
    try:
        return [kind(text) for text in texts]
    except ValueError as error:
        raise ValueError(
            f"`{name}` must be numbers. Received: {', '.join(texts)}"
        ) from error


@contextlib.contextmanager
def _progress(jobs: Sequence[Job], directory: str) -> Iterator[None]:
    """Logs each job as it ends, while the block runs."""
    waiting = [
        job for job in jobs if not sweep_job.succeeded(sweep_job.outcome(job))
    ]
    for job in waiting:
        sweep_job.forget(job)
    done = len(jobs) - len(waiting)
    logging.info(
        "%s: %d jobs, %d of them done before", directory, len(jobs), done
    )
    stop = threading.Event()
    thread = threading.Thread(
        target=_watch, args=(waiting, len(jobs), stop), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _watch(waiting: Sequence[Job], total: int, stop: threading.Event) -> None:
    """Logs how jobs end until all have ended, or until told to stop."""
    # Everything in an object store is asked for over the network.
    local = all(beam_files.is_local(job.directory) for job in waiting)
    done, last = total - len(waiting), False
    while waiting and not last:
        last = stop.wait(1.0 if local else 60.0)
        ended = {job.name: sweep_job.outcome(job) for job in waiting}
        waiting = [job for job in waiting if not ended[job.name]]
        for found in filter(None, ended.values()):
            done += 1
            logging.info("%d/%d done, %s", done, total, _line(found))


def _line(found: dict) -> str:
    """Returns a line that says how one job ended."""
    if reason := sweep_job.reason(found):
        return f"{found['name']} failed: {reason}"
    best = leaderboard.best(found["metrics"], math.inf)
    return (
        f"{found['name']}: {100 * best.accuracy:.2f} % ({best.name}), "
        f"{found['seconds']:.0f} s"
    )
