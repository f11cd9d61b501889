"""The commands of README.md and BUILD.md, run in order as a user would.

They run in what looks like a clone, in which `keras-dynamic` is given a little
more than the page says, so that it trains for an epoch and not for thirty.
"""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn import datasets

from tests.support import markdown_blocks

pytestmark = pytest.mark.slow

_PAGES = ("README.md", "BUILD.md")

# The one place where work is made smaller. By what is among the arguments, the
# first that is found: what is appended to them.
_SHORT = (
    "--config.train.epochs=1",
    "--config.quantize.steps=5",
    "--config.check.max_points=100.0",
    "--config.benchmark.runs=20",
)
_NARROW = (
    "--config.model.arguments.scales=(1, 2)",
    "--config.model.arguments.growth_factors=(2, 1)",
    "--config.model.arguments.bottleneck_factors=(2, 1)",
)
_UNTRAINED = (
    "--config.model.family=vgg",
    "--config.model.size=32",
    "--config.data.size=36",
    "--config.train.stages=()",
)
_SMALLER = {
    "sweep": ("--seeds=0", "--set=train.epochs=1"),
    "--config=ranet_digits": _SHORT,
    "--config=ranet_cifar10_model1": (*_SHORT, *_NARROW),
    "--config=vgg_cluttered_digits": _SHORT,
    "--config=photos.py": (*_SHORT, *_NARROW),
    "--config=photos": (*_SHORT, *_UNTRAINED),
}

# Commands that are not run here, and why.
_ELSEWHERE = {
    "make test": "this is one of its tests",
    "make install": "needs a package index; makes the .venv that runs this",
    "python3.11 -m venv device": "device/ is a link to .venv",
    "device/bin/pip install '.[images]'": "needs a package index",
    "make flink-up": "`make test-flink` does",
    "keras-dynamic prepare --config=photos.py --workdir=runs/mine "
    "-- $(cat .flink/beam-options)": "`make test-flink` prepares on Flink",
    ".venv/bin/ruff format . && .venv/bin/ruff check --fix .": (
        "writes; `make lint` does the same and does not"
    ),
    '.venv/bin/pytest -n 2 -m "not slow"': "`make test` runs them",
}


def _commands(page):
    """The commands in a page's blocks: line number, and text in one line."""
    found = []
    for block in markdown_blocks.blocks(page, "sh"):
        if block.not_run:
            continue
        line, whole = block.line, ""
        for text in block.text.splitlines():
            whole = f"{whole} {text.strip()}" if whole else text
            line += 1
            if whole.endswith("\\"):
                whole = whole[:-1].rstrip()
                continue
            whole = re.sub(r"(^|\s+)#.*", "", whole)
            if whole:
                found.append((line - 1, whole))
            whole = ""
    return found


_EVERY = {
    f"{page}:{line}": command
    for page in _PAGES
    for line, command in _commands(page)
}


def _photos(clone):
    """Digits as a user's photos, in a directory per class."""
    digits = datasets.load_digits()
    scans = (digits.images * 255 / 16).astype(np.uint8)
    for name in ("photos", "unlabelled"):
        (clone / name).mkdir()
    for number in range(400):
        image = Image.fromarray(scans[number]).resize((40, 36))
        directory = clone / "photos" / str(digits.target[number])
        directory.mkdir(exist_ok=True)
        image.save(directory / f"{number}.png")
        if number < 20:
            image.convert("RGB").save(clone / "unlabelled" / f"{number}.jpg")
    image.convert("RGB").save(clone / "photo.jpg")


def _environment(clone):
    """The .venv of a clone: ours, but for the one program."""
    ours, theirs = pathlib.Path(sys.prefix), clone / ".venv"
    (theirs / "bin").mkdir(parents=True)
    for path in (*ours.iterdir(), *(ours / "bin").iterdir()):
        link = theirs / path.relative_to(ours)
        if path.name in ("bin", "keras-dynamic"):
            continue
        if not path.name.startswith(".installed"):
            link.symlink_to(path)
    # Newer than the lock files: there is nothing to install.
    for name in ("", "-demo", "-docs", "-lint"):
        (theirs / f".installed{name}").touch()
    program = theirs / "bin" / "keras-dynamic"
    program.write_text(
        f"""#!{sys.executable}
import sys
from pipeline.cli import main

for word, more in {_SMALLER!r}.items():
    if word in sys.argv:
        end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
        sys.argv[end:end] = more
        break
main.main()
"""
    )
    program.chmod(0o755)
    (clone / "device").symlink_to(".venv")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A directory like a clone, in which nothing has been made yet."""
    clone = tmp_path_factory.mktemp("clone")
    for path in markdown_blocks.ROOT.iterdir():
        if path.name[0] != "." and path.name not in ("runs", "build", "dist"):
            (clone / path.name).symlink_to(path)
    (clone / ".pre-commit-config.yaml").symlink_to(
        markdown_blocks.ROOT / ".pre-commit-config.yaml"
    )
    subprocess.run(["git", "init", "--quiet", clone], check=True)
    _environment(clone)
    _photos(clone)
    [config] = [
        block.text
        for block in markdown_blocks.blocks("docs/configuration.md", "python")
        if "def get_config" in block.text
    ]
    (clone / "photos.py").write_text(config)
    return clone


def _run(command, clone):
    # Nothing of the make and the pytest that run this.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS", "PYTEST"))
    }
    programs = clone / ".venv" / "bin"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=clone,
        env={**environment, "PATH": f"{programs}:{environment['PATH']}"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "where", [each for each in _EVERY if _EVERY[each] not in _ELSEWHERE]
)
def test_a_command_does_what_it_says(where, clone):
    done = _run(_EVERY[where], clone)
    assert done.returncode == 0, f"{_EVERY[where]}\n{done.stderr[-3000:]}"
    if _EVERY[where] == "make demo":
        assert _shape(done.stdout).endswith(_shape(_printed_by_the_demo()))


def _printed_by_the_demo():
    """What README.md shows that `make demo` prints."""
    [block] = [
        block.text
        for block in markdown_blocks.blocks("README.md", "")
        if "runs/demo/report/index.html" in block.text
    ]
    return block


def _shape(text):
    """A text without its numbers and the width of its columns."""
    return " ".join(re.sub(r"\d+(\.\d+)?", "1", text).split())


def test_what_is_not_run_is_still_in_the_pages():
    assert set(_ELSEWHERE) <= set(_EVERY.values())
