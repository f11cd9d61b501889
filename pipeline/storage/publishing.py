"""Publishes files and directories that appear whole or not at all."""

import contextlib
import fcntl
import glob
import json
import os
import pathlib
import re
import shutil
import tempfile
import time
from collections.abc import Iterator

from pipeline.storage import exchange

# How long threads may go on writing into what is removed, in seconds.
_ATTEMPTS, _PAUSE = 100, 0.02


@contextlib.contextmanager
def published(
    path: str | os.PathLike,
    files: re.Pattern | None = None,
    *,
    follow: bool = True,
    held: bool = False,
) -> Iterator[pathlib.Path]:
    """Yields a temporary path that becomes `path` if the block succeeds.

    The block creates a file or a directory at the path it is given, which has
    the final name (some writers choose the format by the extension) in a
    hidden directory beside `path`. An exception leaves `path` as it was.

    The old file or directory gives way in one step, so that a kill leaves the
    old one or the new one. Where the file system cannot exchange directories
    the old one is moved aside first, and a kill between the two renames leaves
    nothing at `path`; the next `published` or `alone` of the same path moves
    it back. Other files that a killed run left behind are removed then, too; a
    run that is still alive holds a lock and is left alone.

    Args:
        path: File or directory to publish. Its parents are created.
        files: For a directory that may replace an old one: matches the paths,
            relative to it, of all files that the old one may hold. None for a
            file.
        follow: Whether, if `path` is a symbolic link, its target is replaced,
            and not the link.
        held: Whether the caller is in `alone` with this path.

    Raises:
        ValueError: Something that is not ours would be lost. It is raised
            before the block, or after it if that came meanwhile.
        FileNotFoundError: The block succeeded without writing anything.
    """
    check_replaceable(path, files, follow=follow)
    target = pathlib.Path(os.path.realpath(path))
    if not follow:
        path = pathlib.Path(path)
        target = pathlib.Path(os.path.realpath(path.parent), path.name)
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
            with (
                contextlib.nullcontext() if held else alone(target),
                _in_turn(target.parent),
            ):
                check_replaceable(target, files, follow=follow)
                _replace(target, stage, holding / "previous")
        finally:
            with _in_turn(target.parent):
                _remove(holding)


def check_replaceable(
    path: str | os.PathLike,
    files: re.Pattern | None = None,
    *,
    follow: bool = True,
) -> None:
    """Raises ValueError if something that is not ours would be replaced.

    Args:
        path: Path where a file or a directory is to be published.
        files: For a directory: matches the paths, relative to it, of all files
            that it may hold. One that holds others is somebody's, in whole or
            in part. None for a file.
        follow: Whether, if `path` is a symbolic link, its target is replaced,
            and not the link; a link by itself holds nothing.

    Raises:
        ValueError: If it would; the message names what is there.
    """
    if not follow and os.path.islink(path):
        return
    if files is None and os.path.isdir(path):
        raise ValueError(
            "`path` must be free for a file that is written there. "
            f"Received: {path}, a directory"
        )
    if files is None or not os.path.exists(path):
        return
    if not os.path.isdir(path):
        raise ValueError(
            "`path` must be free for a directory that is written there. "
            f"Received: {path}, a file"
        )
    for name in names(path):
        if not files.fullmatch(name):
            raise ValueError(
                "`path` must be a directory that is new, empty, or holds "
                "only what is written there again: it is replaced whole, and "
                "everything in it would be lost. Move other files away. "
                f"Received: {path} with {name}"
            )


def names(directory: str | os.PathLike) -> Iterator[str]:
    """Yields the paths of all files below a directory, relative to it.

    A link counts as a file, whatever it points to.
    """
    with os.scandir(directory) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield entry.name
                continue
            for name in names(entry.path):
                yield f"{entry.name}/{name}"


@contextlib.contextmanager
def alone(path: str | os.PathLike) -> Iterator[None]:
    """Lets one process or thread at a time change a directory.

    Everybody who publishes it waits until the block has published, with `held`,
    or ended, so files that are read in the block are still there when it is
    published. A directory that a killed run moved aside is moved back first. A
    path without a directory is nobody's.
    """
    descriptor = _locked(pathlib.Path(os.path.realpath(path)))
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locked(directory: pathlib.Path) -> int | None:
    """Opens and locks a directory, or returns None if there is none."""
    while directory.parent.is_dir():
        with _in_turn(directory.parent):
            _clean_up(directory)
            if not directory.is_dir():
                break
            descriptor = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Who held it before may have put another one in its place.
            if os.path.samestat(os.fstat(descriptor), os.stat(directory)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    return None


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

    Otherwise another run could find a directory that is not locked yet, or no
    more, and take it for a killed run's, or find the old one just moved aside.
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
    if not os.path.lexists(stage):
        raise FileNotFoundError(f"Nothing was written to publish as {target}")
    if not os.path.lexists(target):
        os.rename(stage, target)
        return
    if not (_is_directory(stage) or _is_directory(target)):
        os.replace(stage, target)
        return
    if exchange.exchange(stage, target):
        return
    os.rename(target, previous)
    try:
        os.rename(stage, target)
    except OSError:
        os.rename(previous, target)
        raise
    # Else a kill while it is removed would leave a part to be moved back.
    os.rename(previous, stage)


def _is_directory(path: pathlib.Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _clean_up(target: pathlib.Path) -> None:
    """Restores what killed runs moved aside, and removes their leftovers."""
    # Eight characters are what tempfile.mkdtemp puts in the middle.
    leftovers = f".{glob.escape(target.name)}.????????.partial"
    for holding in target.parent.glob(leftovers):
        if not _is_ours(holding):
            continue
        with open(holding / "lock", "ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            previous = holding / "previous"
            if os.path.lexists(previous) and not os.path.lexists(target):
                os.rename(previous, target)
            shutil.rmtree(holding)


def _remove(holding: pathlib.Path) -> None:
    """Removes a directory in which threads that are told to end still write."""
    for _ in range(_ATTEMPTS):
        try:
            shutil.rmtree(holding)
            return
        except OSError:
            if not holding.exists():
                return
            time.sleep(_PAUSE)
    shutil.rmtree(holding)


def _is_ours(holding: pathlib.Path) -> bool:
    """Tells whether a directory of such a name was made by `published`."""
    return _is_directory(holding) and {"lock", "new", "previous"}.issuperset(
        os.listdir(holding)
    )
