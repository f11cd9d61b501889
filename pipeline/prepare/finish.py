"""Checks everything that was prepared, then publishes it: the last step."""

import dataclasses
import json
from collections.abc import Iterable, Sequence

from pipeline.data import manifest, splits
from pipeline.storage import beam_files

REJECTED = "rejected.jsonl"
DUPLICATES = "duplicates.jsonl"
_FAILURE = "failure.txt"
# One bad file among sixty is 1.7 %, and no reason to stop: so many may be set
# aside whatever the share is, if they are no larger part than this.
_FEW, _FEW_PART = 5, 10
_NAMED = 10
# Five images of a class teach nothing that the others could be told from.
_TAUGHT = 6


@dataclasses.dataclass(frozen=True)
class Facts:
    """Holds the facts that the last step has to know.

    Attributes:
        made_from: Fingerprint of configuration and source.
        source: Name of the source.
        labels: Class names.
        size: Height and width of the stored images.
        channels: 1 or 3.
        storage: "raw" or "encoded".
        splits: The splits that must get images.
        max_rejected: Largest share of the images that may be set aside.
        untaught: Whether classes may end with hardly an image to train on.
        output: Directory of the data set.
        work: Directory of the files that are not to be kept.
    """

    made_from: str
    source: str
    labels: tuple[str, ...]
    size: int
    channels: int
    storage: str
    splits: tuple[str, ...]
    max_rejected: float
    untaught: bool
    output: str
    work: str


def finish(rows: Sequence[dict], listed: int, facts: Facts) -> dict:
    """Checks the rows of all buckets and writes the files that describe them.

    The manifest is written last: with it the data set is there.

    Args:
        rows: Rows that `pipeline.prepare.shard.WriteBucket` yields.
        listed: Number of items that the source listed.
        facts: Facts about the source, the images and the directories.

    Returns:
        The manifest.

    Raises:
        ValueError: The images cannot be trained on and tested. The message is
            left for the driver, too, where `failure` reads it.
        RuntimeError: The runner lost or repeated some.
    """
    rejected = sorted(pair for row in rows for pair in row["rejected"])
    dropped = sorted(pair for row in rows for pair in row["dropped"])
    result = manifest.build(
        made_from=facts.made_from,
        source=facts.source,
        labels=facts.labels,
        size=facts.size,
        channels=facts.channels,
        storage=facts.storage,
        rows=rows,
    )
    try:
        _check(result, listed, rejected, facts)
    except (ValueError, RuntimeError) as error:
        beam_files.write(_failure(facts.work), str(error).encode())
        raise
    _write_lines(
        beam_files.join(facts.output, REJECTED), ("key", "reason"), rejected
    )
    _write_lines(
        beam_files.join(facts.output, DUPLICATES), ("key", "of"), dropped
    )
    data = json.dumps(result, indent=2, allow_nan=False) + "\n"
    beam_files.write(
        beam_files.join(facts.output, manifest.FILE), data.encode()
    )
    beam_files.remove_tree(facts.work)
    return result


def failure(work: str) -> str:
    """Returns why `finish` refused the data, or an empty string.

    Runners wrap an error of a worker in pages of their own.
    """
    path = _failure(work)
    return beam_files.read(path).decode() if beam_files.exists(path) else ""


def _failure(work: str) -> str:
    return beam_files.join(work, _FAILURE)


def _check(
    result: dict, listed: int, rejected: Sequence[list[str]], facts: Facts
) -> None:
    counts = result["counts"]
    accounted = sum(counts.values()) + len(rejected)
    accounted += result["duplicates"]["dropped"] + result["skipped"]
    if not result["listed"] == listed == accounted:
        raise RuntimeError(
            f"{listed} images were listed, but {accounted} came back from "
            "the pipeline: its runner lost or repeated some"
        )
    images = listed - result["skipped"]
    allowed = facts.max_rejected * images
    if allowed:
        allowed = max(allowed, min(_FEW, images // _FEW_PART))
    if len(rejected) > allowed:
        first = "; ".join(f"{key}: {reason}" for key, reason in rejected[:5])
        raise ValueError(
            f"`data.max_rejected` lets at most {facts.max_rejected:.2%} of the "
            f"images be set aside. Received: {len(rejected)} of {images}, "
            f"first {first}"
        )
    if empty := [
        s for s in splits.SPLITS if s in facts.splits and not counts[s]
    ]:
        raise ValueError(
            "Every split of `data.fractions` must get an image; use larger "
            f"fractions or more images. Received: none in {', '.join(empty)}"
        )
    images = result["statistics"]["train"]["classes"]
    taught = [name for name, n in zip(facts.labels, images, strict=True) if n]
    if len(taught) < 2:
        raise ValueError(
            "The train split must hold at least two classes. Received: "
            f"{', '.join(taught)}"
        )
    if not facts.untaught:
        _check_taught(result)


def _check_taught(result: dict) -> None:
    """Raises ValueError if hardly an image of a class that was seen trains.

    A class that is named but of which nothing was seen may be another data
    set's: that is warned of.
    """
    kept = [each["classes"] for each in result["statistics"].values()]
    left_out = result["left_out"].values()
    untaught = []
    for label, name in enumerate(result["labels"]):
        out = sum(counts[label] for counts in left_out)
        held = sum(counts[label] for counts in kept)
        taught = result["statistics"]["train"]["classes"][label]
        if held + out and taught < _TAUGHT:
            untaught.append(
                f"{name!r}: {taught} to train on, {held - taught} held out, "
                f"{out} left out"
            )
    if untaught:
        rest = len(untaught) - _NAMED
        raise ValueError(
            f"Every class must keep {_TAUGHT} images to train on: mend or add "
            "images, leave the class out, or set `data.untaught` to keep. "
            "Received: "
            + "; ".join(untaught[:_NAMED])
            + (f"; and {rest} more" if rest > 0 else "")
        )


def _write_lines(
    path: str, names: tuple[str, str], rows: Iterable[Sequence[str]]
) -> None:
    with beam_files.create(path) as file:
        for row in rows:
            line = json.dumps(dict(zip(names, row, strict=True)))
            file.write(line.encode() + b"\n")
