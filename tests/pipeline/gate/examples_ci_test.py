"""The workflow in examples/ci says what the command line understands."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import yaml

from pipeline.cli import verbs

WORKFLOW = pathlib.Path(__file__).parents[3] / "examples" / "ci" / "gate.yml"


@pytest.fixture
def workflow() -> dict:
    return yaml.safe_load(WORKFLOW.read_text())


def steps(workflow) -> list[dict]:
    [job] = workflow["jobs"].values()
    return job["steps"]


def commands(workflow) -> list[list[str]]:
    """The arguments of each `keras-dynamic`, its variables put in."""
    found = []
    for step in steps(workflow):
        script = step.get("run", "").replace("\\\n", " ")
        for line in script.splitlines():
            for name, value in workflow["env"].items():
                line = line.replace(f"${name}", value)
            words = shlex.split(line)
            if words[:1] == ["keras-dynamic"]:
                found.append(words[1:])
    return found


def test_it_is_a_workflow(workflow):
    # YAML 1.1 reads the key `on` as true.
    assert set(workflow[True]) == {"pull_request", "workflow_dispatch"}
    assert workflow["permissions"] == {"contents": "read"}
    for step in steps(workflow):
        assert ("run" in step) != ("uses" in step)


def test_its_actions_are_pinned_by_commit(workflow):
    pinned = re.findall(
        r"uses: (actions/[a-z-]+@[0-9a-f]{40}) # v\d+\.\d+\.\d+\n",
        WORKFLOW.read_text(),
    )
    assert pinned == [
        step["uses"] for step in steps(workflow) if "uses" in step
    ]
    assert pinned


def test_its_commands_are_ours(workflow, tmp_path):
    found = commands(workflow)
    assert [each[0] for each in found] == ["run", "check", "check"]
    assert all(each[0] in verbs.VERBS for each in found)
    for each in found:
        # An unknown flag or configuration would be refused before a stray word.
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from pipeline.cli import main; main.main()",
                *each,
                "stray",
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(WORKFLOW.parents[2])},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert f"{each[0]} takes nothing but flags. Received: stray" in (
            done.stderr
        )
    assert not list(tmp_path.iterdir())


def test_the_cache_is_of_this_very_code(workflow):
    [cache] = [
        each["with"]
        for each in steps(workflow)
        if each.get("uses", "").startswith("actions/cache@")
    ]
    # The images of one version of the code must not pass for another's.
    assert "hashFiles('pipeline/**'" in cache["key"]
    assert "requirements.lock" in cache["key"]


def test_every_variable_is_defined(workflow):
    text = WORKFLOW.read_text()
    used = set(re.findall(r"\$\{\{ env\.(\w+) \}\}", text))
    used |= set(re.findall(r"\$([A-Z_]+)", text))
    assert used - {"GITHUB_PATH", "GITHUB_STEP_SUMMARY", "PWD"} == set(
        workflow["env"]
    )


def test_no_secrets_and_no_hosts():
    text = WORKFLOW.read_text()
    assert "secrets." not in text
    assert "://" not in text
