"""Runs the program as a user calls it, for tests."""

import subprocess
import sys


def run(*arguments, fails=False) -> subprocess.CompletedProcess:
    """Runs `keras-dynamic`, which must succeed, or fail without a traceback."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from pipeline.cli import main; main.main()",
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
    )
    assert (done.returncode != 0) == fails, done.stderr[-2000:]
    if fails:
        assert "Traceback" not in done.stderr
    return done
