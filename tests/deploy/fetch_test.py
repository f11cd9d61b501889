"""What Maven fetches is used only if it is what the repository lists."""

import hashlib
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CONTENTS = {"a-1.jar": b"a", "B-2.jar": b"b"}
# Writes where Maven would: FETCHED to the directory of -DoutputDirectory.
MAVEN = """#!/usr/bin/env bash
for argument; do
  case "$argument" in -DoutputDirectory=*) directory="${argument#*=}" ;; esac
done
cp "$FETCHED"/* "$directory"
"""


def fetch(tmp_path, contents) -> subprocess.CompletedProcess:
    """Fetches `contents` where CONTENTS are listed, to tmp_path / "jars"."""
    for name in ("bin", "pom", "fetched"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin/mvn").write_text(MAVEN)
    (tmp_path / "bin/mvn").chmod(0o755)
    for name, content in contents.items():
        (tmp_path / "fetched" / name).write_bytes(content)
    rows = [
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in sorted(CONTENTS.items())
    ]
    (tmp_path / "pom/sha256").write_text("".join(rows))
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    return subprocess.run(
        ["bash", ROOT / "deploy/maven/fetch.sh", "pom", "jars"],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "FETCHED": str(tmp_path / "fetched")},
        capture_output=True,
        text=True,
    )


def test_what_is_listed_is_used(tmp_path):
    done = fetch(tmp_path, CONTENTS)
    assert done.returncode == 0, done.stderr
    jars = (tmp_path / "jars").iterdir()
    assert {path.name: path.read_bytes() for path in jars} == CONTENTS


@pytest.mark.parametrize(
    "contents",
    [
        {**CONTENTS, "a-1.jar": b"other"},
        {**CONTENTS, "c-3.jar": b"c"},
        {"a-1.jar": b"a"},
    ],
    ids=["changed", "more", "less"],
)
def test_anything_else_is_refused(tmp_path, contents):
    done = fetch(tmp_path, contents)
    assert done.returncode == 1
    assert "sha256" in done.stderr
    assert not (tmp_path / "jars").exists()


@pytest.mark.parametrize("directory", ["deploy/flink", "examples/android"])
def test_the_lists_are_of_checksums(directory):
    lines = (ROOT / directory / "sha256").read_text().splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"[0-9a-f]{64}  \S+\.(jar|aar)", line)


def test_packages_beside_the_lock_file_have_hashes():
    for name in (
        "deploy/flink/requirements.txt",
        "deploy/dataflow/uv.txt",
        "tests/arm64/requirements.txt",
    ):
        text = (ROOT / name).read_text()
        pins = re.findall(r"^[\w-]+==[\d.]+ \\\n +--hash=sha256:", text, re.M)
        lines = re.findall(r"^[^#\s]", text, re.M)
        assert len(pins) == len(lines) > 0, name
