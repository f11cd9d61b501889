"""Decides where a data set goes: what it may replace, and what leads to it."""

import dataclasses
import os
import re
from collections.abc import Sequence

from pipeline.data import manifest
from pipeline.prepare import finish
from pipeline.results import own_files
from pipeline.sources import tree
from pipeline.storage import apart, beam_files, publishing

# What a killed run may leave in an object store.
_WORK = re.compile(r"work-[0-9a-f]{32}/.*", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Placement:
    """Describes the places of a data set.

    Attributes:
        shared: Directory where it is made for several working directories; ""
            if it is made in the one that asks.
        links: Whether a link leads there, and not a copy.
        follow: Whether, if the place in the working directory is a link, its
            target is replaced, and not the link.
    """

    shared: str
    links: bool
    follow: bool


def decide(
    output: str | os.PathLike,
    shared: str,
    made_from: str,
    read: Sequence[str],
) -> Placement:
    """Returns where a data set goes, if it harms nothing there.

    Args:
        output: Place of the data set in the working directory.
        shared: `data.directory`.
        made_from: Fingerprint that its manifest will hold; "" if it is not
            shared.
        read: Files and directories that it is made from.

    Raises:
        ValueError: These and the two places do not lie apart, or at `output`
            something is not ours.
    """
    if shared and apart.location(shared) == apart.location(
        output, follow=False
    ):
        shared = ""  # Nothing has to lead there.
    links = bool(shared) and beam_files.is_local(shared)
    follow = not links and _follows(output, made_from)
    here = apart.location(output, follow=follow)
    there = [apart.location(each) for each in read]
    apart.check(here, there)
    if shared:
        apart.check(apart.location(shared), [*there, here])
    publishing.check_replaceable(output, own_files.DATA, follow=follow)
    return Placement(shared, links, follow)


def made_from(directory: str) -> str:
    """Returns the fingerprint a data set was made from; "" without a data set.

    Raises:
        ValueError: There is another manifest.
    """
    path = beam_files.join(directory, manifest.FILE)
    if not beam_files.exists(path):
        return ""
    return manifest.parse(beam_files.read(path), path).get("made_from", "")


def check_objects(directory: str) -> None:
    """Raises ValueError if a directory of an object store is not ours.

    Nothing there is replaced whole; but a later preparation would read what
    lies beside images, and a file of one of our names would be overwritten.
    """
    for name, _ in tree.walk(directory):
        of_data = own_files.DATA.fullmatch(name) or _WORK.fullmatch(name)
        if not (of_data or name.endswith("/")):
            raise ValueError(
                "`data.directory` must be new, or hold prepared images and "
                f"nothing else. Received: {directory} with {name}"
            )


def link(output: str | os.PathLike, directory: str) -> None:
    """Makes `output` a link to a directory on a local disk."""
    with publishing.published(output, own_files.DATA, follow=False) as stage:
        stage.symlink_to(os.path.abspath(directory))


def fetch(
    output: str | os.PathLike, directory: str, *, follow: bool = True
) -> None:
    """Publishes a copy of a data set, its manifest and all that it names."""
    path = beam_files.join(directory, manifest.FILE)
    description = manifest.parse(beam_files.read(path), path)
    files = [shard["file"] for shard in description["shards"]]
    with publishing.published(output, own_files.DATA, follow=follow) as stage:
        stage.mkdir()
        for name in (*files, finish.REJECTED, finish.DUPLICATES, manifest.FILE):
            with (
                beam_files.open(beam_files.join(directory, name)) as source,
                open(stage / name, "wb") as target,
            ):
                while data := source.read(1 << 24):
                    target.write(data)


def _follows(output: str | os.PathLike, made: str) -> bool:
    """Tells whether the target of `output`, if it is a link, may be replaced.

    Other data that say what they were made from may be shared.
    """
    if not os.path.islink(output):
        return True
    try:
        return made_from(os.fspath(output)) in ("", made)
    except ValueError:  # Of an earlier version, or no data set of ours.
        return True
