"""Builds the Beam pipeline that scores images with a bundle.

    files matched -> pieces -> spread -> images read -> RunInference
          -> hidden and system files: counted
          -> scored images: rows, by Beam's own writers
          -> the others: PREFIX-rejected.jsonl
          -> counts: PREFIX-summary.json, the last file to appear

What cannot be read travels as a `Rejected` beside the images, in one stream.
Nothing in the pipeline belongs to one runner, and nothing is read before it
runs, so it can also be staged as a template.
"""

import dataclasses
import json
import uuid
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import (
    KeyedModelHandler,
    PredictionResult,
    RunInference,
)
from apache_beam.pvalue import AsIter, AsSingleton

from pipeline.beam import spread
from pipeline.scoring import (
    bundle_handler,
    matching,
    reading,
    writing,
)
from pipeline.scoring.bundle_handler import Rejected
from pipeline.scoring.writing import Row
from pipeline.sources import file_names
from pipeline.storage import beam_files
from pipeline.storage.written_name import original, written

FORMAT_VERSION = 1

# Key, label, its name, and that.
Outcome = tuple[str, int, str, bundle_handler.Scored | Rejected]


@dataclasses.dataclass(frozen=True)
class Job:
    """Describes which images are to be scored, and how.

    Attributes:
        bundle: Directory of a bundle, or its bundle.zip; here or in an object
            store.
        inputs: File patterns of images or TFRecords, or directories.
        output: Prefix of all files that are written.
        form: One of `writing.FORMATS`.
        batch_size: Images that a segment takes at once.
        shards: Number of output files; 0 leaves it to the runner.
        escape_formulas: Whether keys in CSV are escaped that a spreadsheet
            would take for formulas.
        folder_labels: Whether the name of a directory that is a class's is
            the label of the image files in it.
        probability_columns: Whether CSV has a column per class.

    Raises:
        ValueError: If a value cannot be used.
    """

    bundle: str
    inputs: Sequence[str]
    output: str
    form: str = "tfrecord"
    batch_size: int = 64
    shards: int = 0
    escape_formulas: bool = False
    folder_labels: bool = True
    probability_columns: bool = False

    def __post_init__(self) -> None:
        rules = {
            "inputs": ("name files", bool(self.inputs) and all(self.inputs)),
            "output": (
                "be the beginning of file names, without *, ? and [",
                self.output[-1:] not in ("", "/")
                and not set("*?[") & set(self.output),
            ),
            "form": (
                f"be one of {', '.join(writing.FORMATS)}",
                self.form in writing.FORMATS,
            ),
            "batch_size": ("be at least 1", self.batch_size >= 1),
            "shards": ("be at least 0", self.shards >= 0),
            "escape_formulas": (
                "be False unless `form` is csv",
                self.form == "csv" or not self.escape_formulas,
            ),
            "probability_columns": (
                "be False unless `form` is csv",
                self.form == "csv" or not self.probability_columns,
            ),
        }
        for name, (rule, holds) in rules.items():
            if not holds:
                raise ValueError(
                    f"`{name}` must {rule}. Received: {getattr(self, name)!r}"
                )

    @property
    def rejected(self) -> str:
        """Returns the path of the list of images that were not scored."""
        return f"{self.output}-rejected.jsonl"

    @property
    def summary(self) -> str:
        """Returns the path of the summary."""
        return f"{self.output}-summary.json"


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the steps of a job to a pipeline.

    Raises:
        ValueError: Columns of probabilities are wanted, and the bundle, whose
            classes name them, cannot be read.
    """
    classes = ()
    if job.probability_columns:
        classes = bundle_handler.described(job.bundle).labels
    handler = bundle_handler.BundleModelHandler(
        job.bundle, batch_size=job.batch_size
    )
    matched = (
        pipeline
        | "Inputs" >> beam.Create(list(map(written, job.inputs)))
        | "RefuseOldFiles" >> beam.Map(_refuse_old_files, job)
        | "Match" >> beam.FlatMap(_matches)
        | "Once" >> beam.Distinct()  # Two patterns may match the same file.
    )
    skipped = (
        matched
        | "Skipped" >> beam.Filter(_is_skipped)
        | "CountSkipped" >> beam.combiners.Count.Globally()
    )
    found = (
        matched
        | "Meant" >> beam.Filter(lambda match: not _is_skipped(match))
        | "Cut" >> beam.FlatMapTuple(reading.pieces)
        | "Spread" >> spread.Spread()
        | "Read"
        >> beam.ParDo(
            reading.Read(
                job.bundle, matching.root(job.inputs), job.folder_labels
            )
        )
    )
    images = (
        found
        | "Items" >> beam.Map(_items)
        | "CountFound" >> beam.CombineGlobally(sum)
    )
    outcomes = (
        found
        | "Score" >> RunInference(KeyedModelHandler(handler))
        | "Outcome" >> beam.MapTuple(_outcome)
    )
    counts = outcomes | "Count" >> beam.CombineGlobally(Tally())
    rejected = (
        outcomes
        | "Rejected" >> beam.Filter(_is_rejected)
        | "Reason" >> beam.Map(lambda outcome: (outcome[0], outcome[3].reason))
    )
    files = (
        outcomes
        | "Scored" >> beam.Filter(lambda outcome: not _is_rejected(outcome))
        | "Row" >> beam.MapTuple(Row)
        | "Rows"
        >> writing.write(
            job.form, job.output, job.shards, job.escape_formulas, classes
        )
    )
    _ = (
        pipeline
        | "AtLast" >> beam.Create([job])
        | "Summarise"
        >> beam.Map(
            _finish,
            images=AsSingleton(images),
            skipped=AsSingleton(skipped),
            counts=AsSingleton(counts),
            rejected=AsIter(rejected),
            files=AsIter(files),
        )
    )


def check_unused(job: Job) -> None:
    """Raises ValueError if files of the same prefix are there."""
    patterns = [f"{job.output}-?????-of-?????*", job.rejected, job.summary]
    found = [
        metadata.path
        for match in FileSystems.match(patterns)
        for metadata in match.metadata_list
    ]
    if found:
        raise ValueError(
            "`output` must be the beginning of new files: old ones would mix "
            f"with them. Received: {job.output}, of which there are "
            f"{', '.join(sorted(found)[:5])}"
        )


class Tally(beam.CombineFn):
    """Counts outcomes.

    The result is plain: {"rejected": n, "madds": sum, "exits": {exit:
    [images, images with a label, of these predicted right]}}.
    """

    def create_accumulator(self) -> dict:
        """Returns the counts of nothing."""
        return {"rejected": 0, "madds": 0, "exits": {}}

    def add_input(self, counts: dict, outcome: Outcome) -> dict:
        """Counts one image."""
        _, label, _, scored = outcome
        if isinstance(scored, Rejected):
            counts["rejected"] += scored.items
            return counts
        counts["madds"] += scored.madds
        row = counts["exits"].setdefault(scored.exit, [0, 0, 0])
        row[0] += 1
        row[1] += label >= 0
        row[2] += label == scored.predicted
        return counts

    def merge_accumulators(self, accumulators: Iterable[dict]) -> dict:
        """Adds counts up."""
        total = self.create_accumulator()
        for counts in accumulators:
            total["rejected"] += counts["rejected"]
            total["madds"] += counts["madds"]
            for exit, row in counts["exits"].items():
                old = total["exits"].get(exit, (0, 0, 0))
                total["exits"][exit] = [
                    a + b for a, b in zip(old, row, strict=True)
                ]
        return total

    def extract_output(self, counts: dict) -> dict:
        """Returns the counts as they are."""
        return counts


def text(summary: dict) -> str:
    """Returns a summary as a table."""
    lines = [f"images      {summary['images']}, {summary['rejected']} rejected"]
    if summary["skipped"]:
        lines[0] += f", {summary['skipped']} hidden or system files skipped"
    if "accuracy" in summary:
        lines.append(
            f"accuracy    {summary['accuracy']:.2%} of "
            f"{summary['labelled']} with a label"
        )
    if "mean_madds" in summary:
        lines.append(f"mean cost   {summary['mean_madds'] / 1e6:.2f} M")
    lines += ["", "exit      images    share  accuracy      cost"]
    for row in summary["exits"]:
        accuracy = f"{row['accuracy']:.2%}" if "accuracy" in row else ""
        lines.append(
            f"{row['exit']:4}  {row['images']:10}  {row['share']:7.2%}  "
            f"{accuracy:>8}  {row['madds'] / 1e6:6.2f} M"
        )
    return "\n".join(lines)


def _refuse_old_files(pattern: str, job: Job) -> str:
    """Passes the pattern on, before any work, if no file is in the way."""
    check_unused(job)
    return pattern


def _matches(pattern: str) -> Iterator[matching.Match]:
    """Yields what a pattern matches; pattern and paths are as `written`."""
    found = False
    for path, size, fault in matching.matches(original(pattern)):
        found = True
        yield written(path), size, fault
    if not found:
        raise ValueError(f"`input` must match files. Received: {pattern}")


def _items(named: reading.Named) -> int:
    """Counts the images that an element stands for."""
    _, pixels = named
    return pixels.items if isinstance(pixels, Rejected) else 1


def _outcome(named: tuple[str, int, str], result: PredictionResult) -> Outcome:
    return *named, result.inference


def _is_rejected(outcome: Outcome) -> bool:
    return isinstance(outcome[3], Rejected)


def _is_skipped(match: matching.Match) -> bool:
    return match[2] == file_names.SKIPPED


def _finish(
    job: Job,
    images: int,
    skipped: int,
    counts: dict,
    rejected: Iterable[tuple[str, str]],
    files: Iterable[str],
) -> None:
    """Writes the list of rejected images, and then the summary."""
    scored = sum(row[0] for row in counts["exits"].values())
    if scored + counts["rejected"] != images:
        raise RuntimeError(
            f"{images} images were found, but {scored} were scored and "
            f"{counts['rejected']} rejected: the runner lost or repeated some"
        )
    lines = (
        json.dumps({"key": key, "reason": reason}) + "\n"
        for key, reason in sorted(rejected)
    )
    _publish(job.rejected, lines)
    described = bundle_handler.described(job.bundle)
    summary = _summary(described, counts, skipped)
    summary["files"] = sorted(path.rpartition("/")[2] for path in files)
    _publish(job.summary, [json.dumps(summary, indent=2) + "\n"])


def _summary(bundle, counts: dict, skipped: int) -> dict:
    """Returns the content of PREFIX-summary.json, apart from the files."""
    rows = [
        counts["exits"].get(exit, (0, 0, 0)) for exit in range(len(bundle.ends))
    ]
    images, labelled, right = map(sum, zip(*rows, strict=True))
    exits = [
        {
            "exit": exit,
            "images": here,
            "share": here / images if images else 0.0,
            "madds": madds,
            **({"accuracy": correct / known} if known else {}),
        }
        for exit, (madds, (here, known, correct)) in enumerate(
            zip(bundle.madds, rows, strict=True)
        )
    ]
    return {
        "format_version": FORMAT_VERSION,
        "bundle": bundle.name,
        "images": images,
        "rejected": counts["rejected"],
        "skipped": skipped,
        "labelled": labelled,
        **({"accuracy": right / labelled} if labelled else {}),
        **({"mean_madds": counts["madds"] / images} if images else {}),
        "exits": exits,
        "policy": bundle.policy.to_dict(),
    }


def _publish(path: str, lines: Iterable[str]) -> None:
    """Writes a file that appears whole."""
    beam_files.make_directory(path.rpartition("/")[0] or ".")
    attempt = f"{path}.{uuid.uuid4().hex}.partial"
    with beam_files.create(attempt) as file:
        for line in lines:
            file.write(line.encode())
    beam_files.rename(attempt, path)
