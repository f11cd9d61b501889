import subprocess
import sys

import pytest

from pipeline.cli import help_text, verbs
from pipeline.cli.verb import EVERYWHERE

# What takes seconds to import, or is not in the base install.
HEAVY = {
    "apache_beam",
    "jinja2",
    "keras",
    "ml_collections",
    "numpy",
    "plotly",
    "tensorflow",
}


def said_and_imported(*arguments) -> tuple[str, set[str]]:
    """What a command prints, and the packages that it has imported."""
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from pipeline.cli import main\n"
        "main.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, {name.split(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["list"],
        *([v, "--help"] for v in verbs.VERBS),
    ],
)
def test_help_imports_nothing_that_takes_time(arguments):
    said, imported = said_and_imported(*arguments)
    assert said
    assert not imported & HEAVY


def test_no_verb():
    program = "from pipeline.cli import main; main.main()"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == help_text.usage() + "\n"


def test_help_names_every_verb():
    for name, verb in verbs.VERBS.items():
        assert f"  {name} " in help_text.usage()
        assert verb.text in help_text.usage()


@pytest.mark.parametrize("name", verbs.VERBS)
def test_every_verb_is_explained_in_one_format(name):
    said, verb = help_text.usage_of(name), verbs.VERBS[name]
    lines = said.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"usage: keras-dynamic {name}")
    assert verb.text in lines
    assert verb.text.endswith(".")
    assert lines.index("flags:") < lines.index("examples:")
    assert any(line.startswith("exit codes: 0 ") for line in lines)
    starts = {
        len(line) - len(line[26:].lstrip())
        for line in lines[lines.index("flags:") + 1 : lines.index("examples:")]
        if len(line) > 26 and line[25] == " "
    }
    assert starts == {26}
    for flag in [*verb.flags, *EVERYWHERE]:
        assert f"  --{flag}" in said or f"  --[no]{flag}" in said
    for flag in verb.needs:
        assert f"--{flag}=" in " ".join(said.split("flags:")[0].split())


def test_help_says_what_holds_without_a_flag():
    said = " ".join(help_text.usage_of("policy").split())
    assert "(default: for --budget_ms measured here;" in said
    assert "(default: the bundle's default policy is replaced)" in said
    said = " ".join(help_text.usage_of("sweep").split())
    assert "(default: prepare,train,evaluate)" in said
    assert (
        "--[no]keep keep the working directories of jobs (default: on)" in said
    )


def test_exit_codes_of_check():
    assert "3 a number is not that of the reference" in " ".join(
        help_text.usage_of("check").split()
    )
