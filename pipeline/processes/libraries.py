"""Sets options of TensorFlow and Keras before they are imported."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

# What TensorFlow's native code logs at import that is less than a warning, and
# a warning about it: no option of its own keeps them back, since they come
# before its logging has been set up.
_UNWANTED = (
    rb"I\d{4} \d\d:\d\d:"
    rb"|WARNING: All log messages before absl::InitializeLog\(\)"
)
_FILTER = f"""
import re, sys
for line in sys.stdin.buffer:
    if not re.match({_UNWANTED!r}, line):
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""


def set_defaults() -> None:
    """Sets the environment that stages need, where it is not set already."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Without it convolutions are a third slower where there is no AVX-512.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what TensorFlow logs at import away from the standard error.

    Native code writes past Python, so the descriptor itself leads to a filter
    for the time of the block. That is a process of its own: where an import
    ends this one, what it said last is still shown. Nothing is done where
    TensorFlow is there already, or is to log more (`TF_CPP_MIN_LOG_LEVEL=0`).
    """
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    if "tensorflow" in sys.modules or level == "0":
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    # A Ctrl-C is not for it: it ends when nobody writes to it any more.
    sieve = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _FILTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=kept,
        start_new_session=True,
    )
    os.dup2(sieve.stdin.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        sieve.stdin.close()
        # What else an import has started may write to it for longer.
        with contextlib.suppress(subprocess.TimeoutExpired):
            sieve.wait(timeout=5.0)
