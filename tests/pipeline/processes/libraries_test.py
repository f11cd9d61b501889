import subprocess
import sys

import pytest

_NOISE = (
    "WARNING: All log messages before absl::InitializeLog() is called are "
    "written to STDERR\n"
    "I0000 00:00:1796066461.124052    9022 port.cc:153] oneDNN is on.\n"
)
_PROGRAM = """
import os, sys
from pipeline.processes import libraries
print("before", file=sys.stderr)
with libraries.quiet():
    os.write(2, {text!r})
    {then}
print("after", file=sys.stderr)
"""


def run(text: str, then: str = "pass", **environment):
    return subprocess.run(
        [
            sys.executable,
            "-c",
            _PROGRAM.format(text=text.encode(), then=then),
        ],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path), **environment},
    )


def test_what_is_less_than_a_warning_is_kept_back():
    done = run(f"{_NOISE}E0000 00:00:1.5 1 x.cc:1] an error\nW0000 a warning\n")
    assert done.stderr.splitlines() == [
        "before",
        "E0000 00:00:1.5 1 x.cc:1] an error",
        "W0000 a warning",
        "after",
    ]


@pytest.mark.parametrize(
    ("then", "code"), [("os.abort()", -6), ("raise KeyError('why')", 1)]
)
def test_last_words_are_heard(then, code):
    done = run(f"{_NOISE}F0000 no AVX here\n", then)
    assert done.returncode == code
    assert "F0000 no AVX here" in done.stderr
    assert "oneDNN" not in done.stderr
    assert ("why" in done.stderr) == (code == 1)


def test_who_asks_for_more_gets_all():
    done = run(_NOISE, TF_CPP_MIN_LOG_LEVEL="0")
    assert "oneDNN" in done.stderr
