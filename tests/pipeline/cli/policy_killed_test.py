"""`keras-dynamic policy` killed at each of its steps, and many at once."""

import pathlib
import subprocess
import sys
import textwrap
import types
import zipfile

import pytest

from pipeline.cli import policy_verb, verbs
from tests.support import small_bundle
from tflite import bundle

# Runs the verb in a child, which an audit hook can kill before a step.
CHILD = """
    import os, pathlib, signal, sys, types
    from ai_edge_litert import interpreter
    from pipeline.storage import exchange
    from pipeline.cli import policy_verb, verbs

    STEPS = ("os.remove", "os.rmdir", "shutil.", "fcntl.flock")

    def start(directory, name, kill_before=None):
        if child := os.fork():
            return child
        seen = 0

        def step(event, arguments):
            nonlocal seen
            there = any(str(directory.parent) in str(a) for a in arguments)
            if there or event.startswith(STEPS):
                if seen == kill_before:
                    os.kill(os.getpid(), signal.SIGKILL)
                seen += 1

        sys.addaudithook(step)
        given = dict.fromkeys(verbs.VERBS["policy"].flags)
        given |= {"budget_madds": 200.0, "name": name}
        code = 1
        try:
            policy_verb.run(types.SimpleNamespace(**given), [str(directory)])
            code = 0
        finally:
            os._exit(code)

    def end(child):
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
KILLED = """
    import shutil

    root, exchanging = pathlib.Path(sys.argv[1]), sys.argv[2] == "True"
    if not exchanging:
        exchange.exchange = lambda one, other: False
    code, step = -signal.SIGKILL, 0
    while code == -signal.SIGKILL:
        directory = root / f"{step:03d}" / "bundle"
        shutil.copytree(root / "bundle", directory)
        code = end(start(directory, "fast", step))
        assert code in (0, -signal.SIGKILL), code
        step += 1
"""
AT_ONCE = """
    directory = pathlib.Path(sys.argv[1], "bundle")
    children = [start(directory, f"point-{i}") for i in range(12)]
    print([end(child) for child in children])
"""


def run(script: str, *arguments: str) -> str:
    script = textwrap.dedent(CHILD) + textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def points(directory: pathlib.Path) -> list[str]:
    """The operating points of a bundle that is whole."""
    opened = bundle.read(str(directory))
    for place in range(len(opened.segments)):
        opened.model(place)
    opened.content(opened.calibration)
    with zipfile.ZipFile(directory / "bundle.zip") as archive:
        shipped = archive.read("manifest.json")
    assert shipped == (directory / "manifest.json").read_bytes()
    return sorted(opened.operating_points)


def flags(**given):
    names = dict.fromkeys(verbs.VERBS["policy"].flags)
    return types.SimpleNamespace(**names | given)


@pytest.mark.slow
@pytest.mark.parametrize("exchanging", [True, False])
def test_a_kill_at_any_step_leaves_a_bundle(tmp_path, exchanging):
    small_bundle.write(tmp_path / "bundle")
    run(KILLED, str(tmp_path), str(exchanging))
    killed = [each / "bundle" for each in sorted(tmp_path.glob("[0-9]*"))]
    assert len(killed) > 30
    missing = [each for each in killed if not each.exists()]
    found = [points(each) for each in killed if each not in missing]
    # Nothing, then all of it: in the order of the steps.
    assert found == sorted(found)
    assert found[0] == []
    assert found[-1] == ["fast"]
    # A directory is missing between two renames only.
    assert bool(missing) != exchanging
    for directory in killed:
        had = [] if directory in missing else points(directory)
        policy_verb.run(
            flags(budget_madds=150.0, name="next"), [str(directory)]
        )
        assert points(directory) == [*had, "next"]
        assert [each.name for each in directory.parent.iterdir()] == ["bundle"]


def test_all_points_of_many_at_once_are_kept(tmp_path):
    small_bundle.write(tmp_path / "bundle")
    (tmp_path / "bundle" / "NOTES").write_text("mine")
    assert run(AT_ONCE, str(tmp_path)).splitlines()[-1] == str([0] * 12)
    directory = tmp_path / "bundle"
    assert points(directory) == sorted(f"point-{i}" for i in range(12))
    assert (directory / "NOTES").read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["bundle"]
