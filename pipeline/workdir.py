"""Files and directories that appear whole or not at all."""

import contextlib
import fcntl
import glob
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def published(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary path that becomes `path` if the block succeeds.

    The block creates a file or a directory at the path it is given, which has
    the final name (some writers choose the format by the extension) in a
    hidden directory beside `path`. An exception leaves `path` as it was.

    A file replaces the old one atomically. A directory cannot: the old one is
    moved aside first, so a kill between the two renames leaves nothing at
    `path`, and the next `published` of the same path moves it back. What else
    a killed run left behind is removed then, too; a run that is still alive
    holds a lock and is left alone.

    Args:
        path: File or directory to publish. Its parents are created. If it is
            a symbolic link, the file or directory it points to is replaced.

    Raises:
        FileNotFoundError: The block succeeded without writing anything.
    """
    target = pathlib.Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with _in_turn(target.parent):
            _clean_up(target)
            holding = pathlib.Path(
                tempfile.mkdtemp(".partial", f".{target.name}.", target.parent)
            )
            lock = stack.enter_context(open(holding / "lock", "wb"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        stage = holding / "new" / target.name
        try:
            stage.parent.mkdir()
            yield stage
            with _in_turn(target.parent):
                _replace(target, stage, holding / "previous")
        finally:
            with _in_turn(target.parent):
                shutil.rmtree(holding)


def write_json(path: str | os.PathLike, obj: object) -> None:
    """Publishes `obj` as JSON, indented by two, its keys in their order.

    Raises:
        ValueError: `obj` holds a NaN or an infinity, which JSON lacks.
    """
    try:
        text = json.dumps(obj, indent=2, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"`obj` must be JSON for {path}: {error}") from error
    with published(path) as stage:
        stage.write_text(text + "\n", encoding="utf-8")


@contextlib.contextmanager
def _in_turn(directory: pathlib.Path) -> Iterator[None]:
    """Lets one run at a time change what it holds in a directory.

    Else another one could take for a killed run's what is not locked yet, or
    no more, or find the old directory just moved aside.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(
    target: pathlib.Path, stage: pathlib.Path, previous: pathlib.Path
) -> None:
    if not stage.exists():
        raise FileNotFoundError(f"Nothing was written to publish as {target}")
    if not (stage.is_dir() and target.is_dir()):
        os.replace(stage, target)
        return
    os.rename(target, previous)
    try:
        os.rename(stage, target)
    except OSError:
        os.rename(previous, target)
        raise


def _clean_up(target: pathlib.Path) -> None:
    """Removes what killed runs left, after restoring what they moved aside."""
    # Eight characters are what tempfile.mkdtemp puts in the middle.
    leftovers = f".{glob.escape(target.name)}.????????.partial"
    for holding in target.parent.glob(leftovers):
        with open(holding / "lock", "ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if (holding / "previous").exists() and not target.exists():
                os.rename(holding / "previous", target)
            shutil.rmtree(holding)
