"""Runs one job of a sweep: stages of an experiment, in a process of their own.

A job writes to its directory:

    job.json                      the job itself
    config.py                     its whole configuration; `keras-dynamic`
                                  takes it as --config
    attempt-1.log, ...            what the processes printed
    work/                         the working directory of its stages
    result.json or failure.json   how it ended; written last
"""

import contextlib
import dataclasses
import fcntl
import json
import math
import pathlib
import pprint
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

from apache_beam.io.filesystems import FileSystems

from pipeline.processes import guarded
from pipeline.results import metrics_file, own_files
from pipeline.results.layout import Layout
from pipeline.storage import beam_files, publishing

_RESULT = "result.json"
_FAILURE = "failure.json"
# What a failure keeps of the log: lines, and characters of each.
_TAIL = 10
_WIDTH = 500
# Otherwise the first of two jobs takes all memory of the accelerator.
_ENVIRONMENT = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}


@dataclasses.dataclass(frozen=True)
class Job:
    """Describes a job so that a worker can run it, and know it again.

    Attributes:
        name: Name of the job in the sweep, and of its directory.
        group: Name shared by jobs that differ in nothing but their seed.
        seed: The seed of training.
        settings: The configuration, of Python literals.
        stages: Stages to run, in order.
        directory: Directory of its results: a local path, or one of an object
            store.
        fingerprint: Hash of all that the result depends on.
        data: The job that prepares its data, to be run before it.
        timeout: Seconds that all attempts may take together, or None.
        attempts: Number of times that it is tried.
        keep: Whether the working directory stays after a success.
    """

    name: str
    group: str
    seed: int
    settings: dict[str, Any]
    stages: tuple[str, ...]
    directory: str
    fingerprint: str
    data: "Job | None" = None
    timeout: float | None = None
    attempts: int = 2
    keep: bool = True


def run(job: Job, command: Sequence[str] | None = None) -> dict[str, Any]:
    """Runs a job, unless it has succeeded before, and writes how it ended.

    On a local disk an attempt goes on where the one before it, or a killed
    sweep, stopped. Two runs of the same job wait for each other. Elsewhere
    the job runs in a temporary directory, and is written to its own at the
    end, without data and checkpoints.

    Args:
        job: The job.
        command: Command that runs a stage, given its name, --config and
            --workdir: `keras-dynamic` if None.

    Returns:
        The outcome of the job, with the keys that `outcome` names.
    """
    with _here(job) as (directory, lock):
        found = outcome(job)
        if succeeded(found):
            return found
        forget(job)
        found = _ended(job, directory, lock, command or keras_dynamic())
        name = _RESULT if succeeded(found) else _FAILURE
        publishing.write_json(directory / name, found)
    return found


def refuse(job: Job, reason: str) -> dict[str, Any]:
    """Writes that a job failed without running it, unless it has succeeded."""
    with _here(job) as (directory, _):
        found = outcome(job)
        if not succeeded(found):
            forget(job)
            found = _facts(job) | {"error": reason, "tail": []}
            publishing.write_json(directory / _FAILURE, found)
    return found


def outcome(job: Job) -> dict[str, Any] | None:
    """Returns how a job ended, or None if it has not ended.

    The keys are `name`, `group`, `seed`, `fingerprint`, `attempts`,
    `seconds`; `metrics`, those of metrics.json, if it was evaluated; `error`
    and `tail`, the last lines of the log, if it failed.
    """
    found = read(job.directory)
    if found and found["fingerprint"] == job.fingerprint:
        return found
    return None


def read(directory: str) -> dict[str, Any] | None:
    """Returns how the last job of a directory ended, or None."""
    for name in (_RESULT, _FAILURE):
        path = beam_files.join(directory, name)
        if beam_files.exists(path):
            return json.loads(beam_files.read(path))
    return None


def succeeded(found: dict[str, Any] | None) -> bool:
    """Tells whether an outcome is a success."""
    return found is not None and "error" not in found


def reason(found: dict[str, Any]) -> str:
    """Returns in one line why a job failed; "" if it did not."""
    if succeeded(found):
        return ""
    return ": ".join([found["error"], *found["tail"][-1:]])


def forget(job: Job) -> None:
    """Removes how a job ended, so that it is run again."""
    for name in (_RESULT, _FAILURE):
        path = beam_files.join(job.directory, name)
        if beam_files.exists(path):
            FileSystems.delete([path])


def keras_dynamic() -> list[str]:
    """Returns the command line, run by the Python of this worker."""
    return [sys.executable, "-c", "from pipeline.cli import main; main.main()"]


@contextlib.contextmanager
def _here(job: Job) -> Iterator[tuple[pathlib.Path, Sequence[int]]]:
    """Yields a directory of this machine for the job, and its lock."""
    if not beam_files.is_local(job.directory):
        with tempfile.TemporaryDirectory() as scratch:
            directory = pathlib.Path(scratch)
            yield directory, ()
            _upload(directory, job.directory)
        return
    directory = pathlib.Path(job.directory).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # The processes of the job hold it, too, and may outlive us a moment.
        yield directory, [lock.fileno()]


def _ended(
    job: Job,
    directory: pathlib.Path,
    lock: Sequence[int],
    command: Sequence[str],
) -> dict[str, Any]:
    """Tries a job until it succeeds or may not be tried again.

    It returns the outcome of the job, with the keys that `outcome` names.
    """
    start = time.monotonic()
    deadline = start + (math.inf if job.timeout is None else job.timeout)
    ended = _facts(job)
    work = Layout(directory / "work")
    try:
        _set_up(job, directory)
    except (OSError, ValueError) as error:
        return ended | {"error": str(error), "tail": []}
    for attempt in range(1, job.attempts + 1):
        log = directory / f"attempt-{attempt}.log"
        log.unlink(missing_ok=True)
        ended["attempts"] = attempt
        try:
            for stage in job.stages:
                _run_stage(job, stage, directory, command, log, deadline, lock)
            if "evaluate" in job.stages:
                ended["metrics"] = metrics_file.read(work.metrics)
        except (OSError, ValueError) as error:
            failure = {"error": str(error), "tail": _last_lines(log)}
            if isinstance(error, TimeoutError):
                break
        else:
            failure = {}
            if not job.keep:
                # It stays with what somebody has put there meanwhile.
                with contextlib.suppress(ValueError):
                    _remove(work)
            break
    ended["seconds"] = time.monotonic() - start
    return ended | failure


def _facts(job: Job) -> dict[str, Any]:
    return {
        "name": job.name,
        "group": job.group,
        "seed": job.seed,
        "fingerprint": job.fingerprint,
        "attempts": 0,
        "seconds": 0.0,
    }


def _run_stage(
    job: Job,
    stage: str,
    directory: pathlib.Path,
    command: Sequence[str],
    log: pathlib.Path,
    deadline: float,
    lock: Sequence[int],
) -> None:
    left = deadline - time.monotonic()
    try:
        code = guarded.run(
            [
                *command,
                stage,
                f"--config={directory / 'config.py'}",
                f"--workdir={directory / 'work'}",
            ],
            log,
            timeout=None if math.isinf(left) else max(0.0, left),
            environment=_ENVIRONMENT,
            keep_open=lock,
        )
    except TimeoutError as error:
        raise TimeoutError(
            f"{stage} reached the time limit of {job.timeout:g} s"
        ) from error
    if code:
        raise ChildProcessError(f"{stage} ended with exit code {code}")


def _set_up(job: Job, directory: pathlib.Path) -> None:
    """Writes the configuration; removes the results of another job so named.

    Raises:
        ValueError: Files of others are where results are removed, or will be.
    """
    work = Layout(directory / "work")
    note = directory / "job.json"
    if not job.keep:
        publishing.check_replaceable(work.root, own_files.WORKING_DIRECTORY)
    if note.exists():
        before = json.loads(note.read_text(encoding="utf-8"))
        if before["fingerprint"] != job.fingerprint:
            _remove(work)
    work.root.mkdir(exist_ok=True)
    publishing.write_json(note, dataclasses.asdict(job))
    settings = pprint.pformat(job.settings, sort_dicts=False, width=76)
    (directory / "config.py").write_text(
        f'"""The configuration of {job.name}."""\n\n'
        "import ml_collections\n\n"
        f"SETTINGS = {settings}\n\n\n"
        "def get_config():\n"
        '    """The configuration."""\n'
        "    return ml_collections.ConfigDict(SETTINGS)\n",
        encoding="utf-8",
    )


def _remove(work: Layout) -> None:
    """Removes a working directory.

    Raises:
        ValueError: It holds what no stage writes.
    """
    publishing.check_replaceable(work.root, own_files.WORKING_DIRECTORY)
    if work.root.exists():
        shutil.rmtree(work.root)


def _last_lines(log: pathlib.Path) -> list[str]:
    if not log.exists():
        return []
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line[:_WIDTH] for line in lines if line.strip()][-_TAIL:]


def _upload(directory: pathlib.Path, target: str) -> None:
    """Copies the files worth keeping to an object store, the outcome last."""
    work = Layout(directory / "work")
    outcomes = [directory / _RESULT, directory / _FAILURE]
    files = [
        path
        for path in sorted(directory.rglob("*"))
        if path.is_file()
        and not path.is_relative_to(work.data)
        and not path.is_relative_to(work.training)
    ]
    for path in sorted(files, key=lambda path: path in outcomes):
        name = beam_files.join(target, *path.relative_to(directory).parts)
        beam_files.write(name, path.read_bytes())
