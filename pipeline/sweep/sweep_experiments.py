"""Runs a Beam pipeline whose elements are training jobs.

    data sets -> prepared, each once -> their jobs -> trained, each in a
    process of its own (pipeline.sweep.sweep_job) -> sweep.json

A sweep writes to its directory:

    data/<fingerprint>/    prepared images, shared by the jobs that need them
    jobs/<name>/           results of a job, as pipeline.sweep.sweep_job says
    sweep.json             how all jobs ended, and the tables; written last

A job that has succeeded is not run again, so a sweep that was interrupted, or
is to have more jobs, is started with the same directory.
"""

import dataclasses
import itertools
import json
import math
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import ml_collections

from pipeline import config, stages
from pipeline.prepare import prepare_images
from pipeline.results.versions import VERSIONS
from pipeline.storage import beam_files, fingerprint, publishing
from pipeline.sweep import leaderboard, sweep_job
from pipeline.sweep.sweep_job import Job

SUMMARY = "sweep.json"
_FORMAT_VERSION = 1
# Not in names of directories: all but these.
_UNSAFE = re.compile(r"[^\w.,=+-]")
_NAME_LENGTH = 120


@dataclasses.dataclass(frozen=True)
class Terms:
    """Holds the terms on which jobs are run.

    Attributes:
        stages: Stages that a job runs.
        timeout: Seconds that a job may take, or None.
        attempts: Number of times that a job is tried.
        keep: Whether the working directory of a job stays.
    """

    stages: Sequence[str] = ("prepare", "train", "evaluate")
    timeout: float | None = None
    attempts: int = 2
    keep: bool = True

    def __post_init__(self) -> None:
        known = [name for name in self.stages if name in stages.STAGES]
        needed = {need for name in known for need in stages.STAGES[name].needs}
        rules = {
            "stages": (
                f"be some of {', '.join(stages.STAGES)}; evaluate, and all "
                "that these need, among them",
                len(known) == len(self.stages)
                and needed | {"evaluate"} <= set(known),
            ),
            "timeout": (
                "be positive",
                self.timeout is None or self.timeout > 0,
            ),
            "attempts": ("be at least 1", self.attempts >= 1),
        }
        for name, (rule, holds) in rules.items():
            if not holds:
                raise ValueError(
                    f"`{name}` must {rule}. "
                    f"Received: {name}={getattr(self, name)}"
                )


def plan(
    configs: Sequence[str],
    directory: str,
    *,
    seeds: Sequence[int] = (),
    overrides: Mapping[str, Sequence[str]] | None = None,
    terms: Terms | None = None,
) -> list[Job]:
    """Returns every combination of configurations, overrides and seeds.

    Args:
        configs: Names or files of configurations.
        directory: Directory of the sweep; an absolute path, or one in an
            object store.
        seeds: Seeds of training; empty for that of each configuration.
        overrides: Values to try of keys such as "train.learning_rate", as
            they would be written on the command line.
        terms: Terms on which they are run.

    Raises:
        ValueError: A configuration cannot be used, or two jobs are the same.
    """
    terms = terms or Terms()
    axes = [
        [(key, value) for value in values]
        for key, values in (overrides or {}).items()
    ]
    jobs = []
    data_sets: dict[str, Job] = {}
    for name in configs:
        for changes in itertools.product(*axes):
            labels = [f"{key}={value}" for key, value in changes]
            settings = config.overridden(config.load(name), labels)
            data = _data(settings, directory, terms, data_sets)
            group = " ".join([pathlib.PurePath(name).stem, *labels])
            for seed in seeds or [settings.seed]:
                settings.seed = seed
                jobs.append(_job(settings, directory, terms, group, data))
    names = [job.name for job in jobs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(
            "`configs`, `seeds` and `overrides` must give every job a name of "
            f"its own. Received twice: {', '.join(sorted(twice))}"
        )
    return jobs


def build(
    pipeline: beam.Pipeline,
    jobs: Iterable[Job],
    directory: str,
    *,
    budgets: Sequence[float] = (),
    accelerator: str = "",
    command: Sequence[str] | None = None,
) -> beam.PCollection[dict]:
    """Adds the steps of a sweep to a pipeline.

    Args:
        pipeline: Pipeline to which they are added.
        jobs: Jobs that `plan` returned.
        directory: Directory of the sweep.
        budgets: Multiply-adds at which jobs are compared; empty to compare
            them at any cost.
        accelerator: Hardware that a worker needs for training, such as
            "type:nvidia-tesla-t4;count:1;install-nvidia-driver". Runners that
            do not choose machines ignore it.
        command: Command that runs a stage, given its name, --config and
            --workdir: `keras-dynamic` if None.

    Returns:
        One element, the content of sweep.json.
    """
    train = beam.Map(_train, command=command)
    if accelerator:
        train = train.with_resource_hints(accelerator=accelerator)
    # Grouped, to spread them: Flink leaves all that is reshuffled where it is.
    return (
        pipeline
        | "Jobs" >> beam.Create([(job.data.name, job) for job in jobs])
        | "SpreadDataSets" >> beam.GroupByKey()
        | "Prepare"
        >> beam.FlatMap(_prepare, command=command).with_output_types(
            tuple[str, tuple[Job, str]]
        )
        | "SpreadJobs" >> beam.GroupByKey()
        | "Train" >> train
        | "Names" >> beam.combiners.ToList()
        | "Summarize"
        >> beam.Map(_summarize, directory=directory, budgets=budgets)
    )


def read(directory: str) -> dict[str, Any]:
    """Reads sweep.json: `jobs`, the outcomes of them, and `tables`.

    A table has `budget`, multiply-adds or null, and `rows`, the fields of
    leaderboard.Row.
    """
    return json.loads(beam_files.read(beam_files.join(directory, SUMMARY)))


def text(summary: Mapping[str, Any]) -> str:
    """Formats the tables of a sweep."""
    tables = []
    for table in summary["tables"]:
        rows = [leaderboard.Row(**row) for row in table["rows"]]
        budget = math.inf if table["budget"] is None else table["budget"]
        tables.append(leaderboard.text(rows, budget))
    return "\n\n".join(tables)


def _data(
    settings: ml_collections.ConfigDict,
    directory: str,
    terms: Terms,
    data_sets: dict[str, Job],
) -> Job:
    """Returns the job that prepares the data, one job for equal data.

    The job prepares it in `data.directory`, where `prepare`, as a stage of
    another job, finds it. `data.directory` is set if it was not.
    """
    asked = fingerprint.of(settings.data.to_dict())
    if asked not in data_sets:
        made_from = prepare_images.made_from(settings)
        where = settings.data.directory
        if not where:
            where = beam_files.join(directory, "data", made_from[:16])
        settings.data.directory = where
        name = f"prepare-{fingerprint.of(where, made_from)[:16]}"
        data_sets[asked] = Job(
            name=name,
            group=name,
            seed=settings.data.seed,
            settings=settings.to_dict(),
            stages=("prepare",),
            directory=_directory(directory, name),
            fingerprint=made_from,
            timeout=terms.timeout,
            attempts=terms.attempts,
            keep=False,
        )
    data = data_sets[asked]
    settings.data.directory = data.settings["data"]["directory"]
    return data


def _job(
    settings: ml_collections.ConfigDict,
    directory: str,
    terms: Terms,
    group: str,
    data: Job,
) -> Job:
    name = _UNSAFE.sub("_", f"{group}-seed={settings.seed}".replace(" ", "-"))
    if len(name) > _NAME_LENGTH:
        name = f"{name[:_NAME_LENGTH]}-{fingerprint.of(name)[:8]}"
    ordered = tuple(stage for stage in stages.STAGES if stage in terms.stages)
    rest = {k: v for k, v in settings.to_dict().items() if k != "data"}
    return Job(
        name=name,
        group=group,
        seed=settings.seed,
        settings=settings.to_dict(),
        stages=ordered,
        directory=_directory(directory, name),
        fingerprint=fingerprint.of(
            data.fingerprint,
            rest,
            {stage: VERSIONS[stage] for stage in ordered},
        ),
        data=data,
        timeout=terms.timeout,
        attempts=terms.attempts,
        keep=terms.keep,
    )


def _directory(directory: str, name: str) -> str:
    return beam_files.join(directory, "jobs", name)


def _prepare(
    group: tuple[str, Iterable[Job]], command: Sequence[str] | None
) -> Iterable[tuple[str, tuple[Job, str]]]:
    """Prepares the data of some jobs; yields each, and why that failed."""
    _, jobs = group
    jobs = list(jobs)
    reason = ""
    if not all(sweep_job.succeeded(sweep_job.outcome(job)) for job in jobs):
        reason = sweep_job.reason(sweep_job.run(jobs[0].data, command))
    for job in jobs:
        yield job.name, (job, reason)


def _train(
    group: tuple[str, Iterable[tuple[Job, str]]], command: Sequence[str] | None
) -> str:
    """Runs a job, and returns its name, not to carry its metrics around."""
    name, ((job, reason),) = group
    if reason:
        found = sweep_job.refuse(job, f"its data is not there: {reason}")
    else:
        found = sweep_job.run(job, command)
    ended = "succeeded" if sweep_job.succeeded(found) else "failed"
    beam.metrics.Metrics.counter("sweep", ended).inc()
    return name


def _summarize(
    names: Sequence[str], directory: str, budgets: Sequence[float]
) -> dict[str, Any]:
    """Reads how the jobs ended, and writes sweep.json."""
    outcomes = [
        sweep_job.read(_directory(directory, name)) for name in sorted(names)
    ]
    results = [
        (found["group"], found["metrics"])
        for found in outcomes
        if sweep_job.succeeded(found)
    ]
    summary = {
        "format_version": _FORMAT_VERSION,
        "jobs": outcomes,
        "tables": [
            {
                "budget": None if math.isinf(budget) else budget,
                "rows": [
                    dataclasses.asdict(row)
                    for row in leaderboard.table(results, budget)
                ],
            }
            for budget in budgets or [math.inf]
        ],
    }
    path = beam_files.join(directory, SUMMARY)
    if beam_files.is_local(path):
        publishing.write_json(path, summary)
    else:
        beam_files.write(path, json.dumps(summary, indent=2).encode())
    return summary
