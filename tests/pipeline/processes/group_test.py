import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from pipeline.processes import group, guarded
from pipeline.processes.group import Member

_ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
_COUNT = "KERAS_DISTRIBUTION_NUM_PROCESSES"
_NUMBER = "KERAS_DISTRIBUTION_PROCESS_ID"
_BEGIN = f"""
import os, pathlib, signal, sys, time
work = pathlib.Path(sys.argv[1])
number = int(os.environ["{_NUMBER}"])
(work / f"pid-{{number}}").write_text(str(os.getpid()))
def others():
    while len(list(work.glob("pid-*"))) < int(os.environ["{_COUNT}"]):
        time.sleep(0.01)
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in (_ADDRESSES, _COUNT, _NUMBER):
        monkeypatch.delenv(name, raising=False)


def command(work, script):
    return [sys.executable, "-c", _BEGIN + script, str(work)]


def gone(pid):
    """Whether a process has ended; waits a little for it."""
    for _ in range(100):
        status = pathlib.Path(f"/proc/{pid}/stat")
        try:
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def all_gone(work, count):
    pids = [int(path.read_text()) for path in work.glob("pid-*")]
    assert len(pids) == count
    return all(map(gone, pids))


def test_each_process_knows_itself_and_the_others(tmp_path, capfd):
    script = f"""
text = "\\n".join(os.environ[n] for n in ("{_ADDRESSES}", "{_COUNT}"))
(work / f"said-{{number}}").write_text(text)
print("printed by", number)
"""
    group.run(command(tmp_path, script), 3)
    said = {path.read_text() for path in tmp_path.glob("said-*")}
    assert len(list(tmp_path.glob("said-*"))) == 3
    (one,) = said
    address, count = one.split("\n")
    assert address.startswith("127.0.0.1:")
    assert count == "3"
    # The log is that of the first one.
    assert capfd.readouterr().out == "printed by 0\n"


def test_one_that_fails_is_named_with_what_it_said(tmp_path):
    script = """
others()
if number == 1:
    print("something before")
    print("keras-dynamic: error: no such thing. Received:\\n3", file=sys.stderr)
    sys.exit(3)
time.sleep(60)
"""
    begun = time.monotonic()
    with pytest.raises(
        ChildProcessError,
        match=r"^process 1 of 2 ended with exit code 3: keras-dynamic: error: "
        r"no such thing\. Received:; the others were stopped\. .* last check",
    ):
        group.run(command(tmp_path, script), 2)
    assert time.monotonic() - begun < 30
    assert all_gone(tmp_path, 2)


def test_a_killed_one_is_named_before_those_that_fail_without_it(tmp_path):
    script = """
others()
if number == 2:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(0.2)
sys.exit(1)
"""
    with pytest.raises(
        ChildProcessError, match="process 2 of 3 was killed by SIGKILL"
    ):
        group.run(command(tmp_path, script), 3)
    assert all_gone(tmp_path, 3)


def test_one_that_does_not_end_when_asked_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(guarded, "_GRACE", 0.5)
    script = """
signal.signal(signal.SIGTERM, lambda *_: (work / "asked").touch())
(work / f"ready-{number}").touch()
if number == 0:
    while not (work / "ready-1").exists():
        time.sleep(0.01)
    sys.exit(1)
while True:
    time.sleep(0.1)
"""
    with pytest.raises(ChildProcessError, match="process 0 of 2 ended with"):
        group.run(command(tmp_path, script), 2)
    assert (tmp_path / "asked").exists()
    assert all_gone(tmp_path, 2)


def test_none_outlives_a_killed_launcher(tmp_path):
    script = "others(); time.sleep(60)"
    launcher = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pipeline.processes import group\n"
            "group.run(sys.argv[1:], 2)",
            *command(tmp_path, script),
        ]
    )
    while len(list(tmp_path.glob("pid-*"))) < 2:
        assert launcher.poll() is None
        time.sleep(0.05)
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()
    assert all_gone(tmp_path, 2)


def test_alone_without_an_environment():
    assert group.member() == Member(0, 1)
    assert group.member().writes


def test_the_environment_says_which(monkeypatch):
    monkeypatch.setenv(_COUNT, "1")
    assert group.member() == Member(0, 1)
    monkeypatch.setenv(_COUNT, "4")
    monkeypatch.setenv(_NUMBER, "3")
    monkeypatch.setenv(_ADDRESSES, "10.0.0.1:1234")
    assert group.member() == Member(3, 4)
    assert not group.member().writes


@pytest.mark.parametrize(
    ("count", "number", "addresses", "named"),
    [
        ("two", "0", "a:1", _COUNT),
        ("0", "0", "a:1", _COUNT),
        ("2", "", "a:1", _NUMBER),
        ("2", "2", "a:1", _NUMBER),
        ("2", "-1", "a:1", _NUMBER),
        ("2", "0", "", _ADDRESSES),
    ],
)
def test_a_wrong_environment_is_named(
    monkeypatch, count, number, addresses, named
):
    monkeypatch.setenv(_COUNT, count)
    monkeypatch.setenv(_NUMBER, number)
    monkeypatch.setenv(_ADDRESSES, addresses)
    with pytest.raises(ValueError, match=f"`{named}` must"):
        group.member()


def test_only_jax_and_equal_parts():
    group.check(3, batch_size=6, backend="jax")
    with pytest.raises(ValueError, match=r"must be jax.*Received: tensorflow"):
        group.check(3, batch_size=6, backend="tensorflow")
    with pytest.raises(
        ValueError, match=r"train\.batch_size.*multiple of the 3"
    ):
        group.check(3, batch_size=8, backend="jax")
