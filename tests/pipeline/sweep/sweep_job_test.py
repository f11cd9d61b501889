import fcntl
import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import time

import pytest

from pipeline.processes import guarded
from pipeline.sweep import sweep_job

# A stage that runs `script`, one of the job's settings.
_COMMAND = [
    sys.executable,
    "-c",
    "import json, os, pathlib, subprocess, sys, time\n"
    "stage = sys.argv[1]\n"
    "work = pathlib.Path(sys.argv[3].removeprefix('--workdir='))\n"
    "note = json.loads((work.parent / 'job.json').read_text())\n"
    "exec(note['settings']['script'])",
]
_METRICS = """
metrics = {"format_version": 1, "exits": [
    {"exit": 0, "madds": 10, "accuracy": {"float": 0.5}}]}
(work / "metrics.json").write_text(json.dumps(metrics))
"""


@pytest.fixture
def job(tmp_path):
    def make(script=_METRICS, **changes):
        facts = {
            "name": "digits-seed=0",
            "group": "digits",
            "seed": 0,
            "settings": {"script": script, "rate": 0.1, "steps": (1, 2)},
            "stages": ("train", "evaluate"),
            "directory": str(tmp_path / "jobs" / "digits-seed=0"),
            "fingerprint": "f",
        }
        return sweep_job.Job(**facts | changes)

    return make


def run(job):
    return sweep_job.run(job, _COMMAND)


def files(job):
    return {path.name for path in pathlib.Path(job.directory).iterdir()}


def gone(pid: int) -> bool:
    """Waits for a process that is not our child to end."""
    for _ in range(100):
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        if stat.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


def test_stages_run_in_order_and_the_metrics_are_kept(job):
    made = job("print(stage, sys.argv[2:])" + _METRICS)
    found = run(made)
    assert sweep_job.succeeded(found)
    assert sweep_job.reason(found) == ""
    assert found["attempts"] == 1
    assert found["metrics"]["exits"][0]["accuracy"] == {"float": 0.5}
    assert found == sweep_job.outcome(made)
    directory = pathlib.Path(made.directory)
    assert files(made) == {
        "attempt-1.log",
        "config.py",
        "job.json",
        "lock",
        "result.json",
        "work",
    }
    arguments = [
        f"--config={directory}/config.py",
        f"--workdir={directory}/work",
    ]
    assert (directory / "attempt-1.log").read_text().splitlines() == [
        f"train {arguments}",
        f"evaluate {arguments}",
    ]


def test_the_configuration_comes_back_as_it_was(job):
    made = job()
    run(made)
    module = runpy.run_path(os.path.join(made.directory, "config.py"))
    assert module["get_config"]().to_dict() == made.settings


def test_a_job_that_succeeded_is_not_run_again(job):
    made = job("(work / stage).touch(exist_ok=False)" + _METRICS)
    assert run(made) == run(made)


def test_other_settings_begin_anew(job):
    script = (
        "(work / 'stages').mkdir(exist_ok=True)\n"
        "(work / 'stages' / f'{stage}.json').touch(exist_ok=False)" + _METRICS
    )
    assert sweep_job.succeeded(run(job(script)))
    other = job(script, fingerprint="g")
    assert sweep_job.outcome(other) is None
    assert sweep_job.succeeded(run(other))
    assert sweep_job.outcome(other)["fingerprint"] == "g"


def test_a_failure_is_tried_again_where_it_stopped(job):
    made = job(
        "before = work / 'before'\n"
        "if stage == 'train' and not before.exists():\n"
        "    before.touch()\n"
        "    sys.exit('not today')" + _METRICS
    )
    found = run(made)
    assert sweep_job.succeeded(found)
    assert found["attempts"] == 2
    log = pathlib.Path(made.directory, "attempt-1.log").read_text()
    assert log == "not today\n"


def test_a_failure_tells_its_last_lines(job):
    made = job("print(*range(20), sep='\\n', flush=True); sys.exit('no')")
    found = run(made)
    assert not sweep_job.succeeded(found)
    assert found["attempts"] == 2
    assert found["error"] == "train ended with exit code 1"
    assert found["tail"][0] == "11"
    assert sweep_job.reason(found) == "train ended with exit code 1: no"
    assert {"attempt-1.log", "attempt-2.log", "failure.json"} < files(made)
    assert "result.json" not in files(made)


def test_a_failed_job_is_run_again_when_asked(job, tmp_path):
    made = job(f"open({str(tmp_path / 'there')!r})" + _METRICS)
    assert not sweep_job.succeeded(run(made))
    (tmp_path / "there").touch()
    assert sweep_job.succeeded(run(made))
    assert "failure.json" not in files(made)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("os.kill(os.getpid(), 9)", "train ended with exit code 137"),
        ("pass", "metrics.json must be what `keras-dynamic evaluate` writes"),
    ],
)
def test_other_failures(job, script, reason):
    found = run(job(script, attempts=1))
    assert reason in sweep_job.reason(found)
    assert found["attempts"] == 1


def test_an_unknown_command_is_a_failure(job):
    found = sweep_job.run(job(attempts=1), ["/nowhere/keras-dynamic"])
    assert "train ended with exit code 1" in found["error"]
    assert "/nowhere/keras-dynamic" in found["tail"][-1]


def test_without_keep_the_working_directory_goes(job):
    made = job(keep=False)
    assert sweep_job.succeeded(run(made))
    assert "work" not in files(made)
    failed = job("sys.exit(1)", keep=False, fingerprint="g")
    assert not sweep_job.succeeded(run(failed))
    assert "work" in files(failed)


@pytest.mark.parametrize(
    "changes", [{"fingerprint": "g"}, {"fingerprint": "f", "keep": False}]
)
def test_files_of_others_are_not_removed(job, changes):
    first = job("sys.exit(1)")
    assert not sweep_job.succeeded(run(first))
    mine = pathlib.Path(first.directory, "work", "photos", "mine.jpg")
    mine.parent.mkdir()
    mine.write_text("mine")
    found = run(job("(work / stage).touch()" + _METRICS, **changes))
    assert "photos/mine.jpg" in sweep_job.reason(found)
    assert found["attempts"] == 0
    assert mine.read_text() == "mine"
    mine.unlink()
    assert sweep_job.succeeded(run(job(**changes)))


def test_files_of_others_that_come_meanwhile_stay(job):
    made = job("(work / 'mine').write_text('mine')" + _METRICS, keep=False)
    assert sweep_job.succeeded(run(made))
    assert pathlib.Path(made.directory, "work", "mine").read_text() == "mine"


# A stage with a child of its own, both sleeping.
_FAMILY = (
    "child = subprocess.Popen([sys.executable, '-c',"
    " 'import time; time.sleep(60)'])\n"
    "(work / 'new').write_text(f'{os.getpid()} {child.pid}')\n"
    "(work / 'new').rename(work / 'pids')\n"
    "time.sleep(60)"
)


def pids(work: pathlib.Path) -> list[int]:
    for _ in range(200):
        if (work / "pids").exists():
            return [int(pid) for pid in (work / "pids").read_text().split()]
        time.sleep(0.1)
    raise AssertionError("the stage did not start")


def test_the_time_limit_kills_children_too(job):
    made = job(_FAMILY, timeout=2.0, attempts=3)
    start = time.monotonic()
    found = run(made)
    assert time.monotonic() - start < 30
    assert found["error"] == "train reached the time limit of 2 s"
    # It is for all attempts together.
    assert found["attempts"] == 1
    assert all(gone(pid) for pid in pids(pathlib.Path(made.directory, "work")))


def test_nothing_outlives_a_killed_parent(tmp_path):
    work = tmp_path
    script = (
        "import os, pathlib, subprocess, sys, time\n"
        f"work = pathlib.Path({str(work)!r})\n{_FAMILY}"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import pathlib, sys; from pipeline.processes import guarded\n"
            "guarded.run([sys.executable, '-c', sys.argv[1]],"
            " pathlib.Path(sys.argv[2]))",
            script,
            str(tmp_path / "log"),
        ]
    )
    family = pids(work)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert all(gone(pid) for pid in family)


def test_what_a_command_leaves_behind_is_killed(tmp_path):
    script = (
        "import os, pathlib, subprocess, sys, time\n"
        f"work = pathlib.Path({str(tmp_path)!r})\n"
        + _FAMILY.removesuffix("time.sleep(60)")
    )
    code = guarded.run([sys.executable, "-c", script], tmp_path / "log")
    assert code == 0
    assert all(gone(pid) for pid in pids(tmp_path))


def test_two_runs_of_a_job_wait_for_each_other(job):
    made = job()
    pathlib.Path(made.directory).mkdir(parents=True)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, json, pathlib, sys, time\n"
            "directory = pathlib.Path(sys.argv[1])\n"
            "lock = open(directory / 'lock', 'ab')\n"
            "fcntl.flock(lock, fcntl.LOCK_EX)\n"
            "(directory / 'held').touch()\n"
            "time.sleep(2)\n"
            "(directory / 'result.json').write_text(sys.argv[2])",
            made.directory,
            json.dumps({"fingerprint": "f", "by": "the other"}),
        ]
    )
    while "held" not in files(made):
        assert holder.poll() is None
        time.sleep(0.05)
    assert run(made) == {"fingerprint": "f", "by": "the other"}
    assert holder.wait() == 0


def test_the_lock_is_free_afterwards(job):
    made = job()
    run(made)
    with open(os.path.join(made.directory, "lock"), "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_refused_job_has_failed_unless_it_has_succeeded(job):
    made = job()
    found = sweep_job.refuse(made, "no data")
    assert sweep_job.reason(found) == "no data"
    assert found["attempts"] == 0
    assert sweep_job.outcome(made) == found
    done = run(made)
    assert sweep_job.succeeded(done)
    assert sweep_job.refuse(made, "no data") == done


def test_in_an_object_store_all_but_data_and_checkpoints_is_kept(job):
    from tests.support.object_store import bucket

    with bucket() as root:
        made = job(
            "for name in ('data', 'training', 'model'):\n"
            "    (work / name).mkdir(exist_ok=True)\n"
            "    (work / name / 'file').touch()" + _METRICS,
            directory=f"{root}/sweep/jobs/one",
        )
        assert sweep_job.outcome(made) is None
        found = run(made)
        assert sweep_job.succeeded(found)
        assert sweep_job.outcome(made) == found
        from apache_beam.io.filesystems import FileSystems

        listed = FileSystems.match([f"{made.directory}/**"])[0].metadata_list
        names = {m.path.removeprefix(made.directory) for m in listed}
        assert names == {
            "/attempt-1.log",
            "/config.py",
            "/job.json",
            "/result.json",
            "/work/metrics.json",
            "/work/model/file",
        }
        sweep_job.forget(made)
        assert sweep_job.outcome(made) is None
