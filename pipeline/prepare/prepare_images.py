"""Runs the Beam pipeline from a source of images to TFRecord shards.

    pieces -> items, listed -> buckets, by content hash -> GroupByKey
           -> sorted shards, one per bucket and split -> checks and manifest

Only keys are shuffled, never pixels: a worker reads, decodes, fits and writes
the images of a whole bucket. Where an image goes follows from a hash of its
bytes, and the order in a shard from a hash of its key, so the same images give
the same bytes on every runner, in whatever order they were listed.

Beam's WriteToTFRecord is not used: its shards differ from run to run, and a
run that fails can leave some of them.
"""

import contextlib
import dataclasses
import functools
import os
import uuid
from collections.abc import Mapping, Sequence

import apache_beam as beam
import ml_collections
from absl import logging

from pipeline import sources
from pipeline.beam import runners, spread
from pipeline.config import section
from pipeline.config.sections.data_section import Data
from pipeline.data import form, manifest, overview
from pipeline.data.image import Rules
from pipeline.prepare import finish, placement, plan, shard, shares
from pipeline.processes import terminal
from pipeline.results import own_files
from pipeline.results.layout import Layout
from pipeline.results.versions import VERSIONS
from pipeline.sources.item import Found
from pipeline.storage import beam_files, fingerprint, publishing


@dataclasses.dataclass(frozen=True)
class Job:
    """Describes a preparation that can be run.

    Attributes:
        data: Configuration of the preparation.
        source: Source that the images come from.
        found: Contents of the source.
        made_from: Fingerprint of configuration and images, if the data set
            gets a directory of its own, where others look for it; or "".
    """

    data: Data
    source: sources.Source
    found: Found
    made_from: str

    @property
    def buckets(self) -> int:
        """Returns the number of buckets that the images are divided into."""
        return plan.buckets(self.found.images, self.data.shard_images)


class PrepareImages(beam.PTransform):
    """Writes the data set of a job; gives its manifest, one element.

    With the manifest the data set is there, and not before: in an object store
    it is the last object written. On a local disk the directory itself should
    be renamed when the pipeline has finished, as `prepare` does.
    """

    def __init__(self, job: Job, output: str, work: str = ""):
        """Prepares into a directory.

        Args:
            job: Preparation that `job` returned.
            output: Directory of the data set, local or not, there for all
                workers.
            work: Directory below it for files that are not to be kept.
        """
        super().__init__()
        self._job = job
        self._output = output
        self._work = work or beam_files.join(output, f"work-{uuid.uuid4().hex}")

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[dict]:
        """Builds the steps."""
        data, source, found = self._job.data, self._job.source, self._job.found
        stored = _form(data)
        placing = plan.Plan(
            fractions=_fractions(data, found),
            seed=data.seed,
            buckets=self._job.buckets,
        )
        facts = finish.Facts(
            made_from=self._job.made_from,
            source=data.source,
            labels=found.labels,
            size=data.size,
            channels=data.channels,
            storage="encoded" if stored.encoded else "raw",
            splits=_wanted(placing.fractions, found),
            max_rejected=data.max_rejected,
            untaught=data.untaught == "keep",
            output=self._output,
            work=self._work,
        )
        chunks = (
            begin
            | "Pieces" >> beam.Create(found.pieces)
            | "SpreadPieces" >> spread.Spread()
            | "List" >> beam.FlatMap(plan.list_piece, source=source)
        )
        listed = (
            chunks
            | "ChunkSizes" >> beam.Map(len)
            | "Listed" >> beam.CombineGlobally(sum)
        )
        return (
            chunks
            | "Place" >> beam.FlatMap(plan.place, source=source, plan=placing)
            | "GroupByBucket" >> beam.GroupByKey()
            | "WriteBucket"
            >> beam.ParDo(
                shard.WriteBucket(
                    source=source,
                    plan=placing,
                    form=stored,
                    drop_copies=data.duplicates == "drop",
                    output=self._output,
                    work=self._work,
                )
            )
            | "Rows" >> beam.combiners.ToList()
            | "Finish"
            >> beam.Map(
                finish.finish,
                listed=beam.pvalue.AsSingleton(listed),
                facts=facts,
            )
        )


def job(config: ml_collections.ConfigDict) -> Job:
    """Returns the preparation that a configuration describes.

    Raises:
        ValueError: The configuration or the images cannot be used.
    """
    data = section(Data, config.data)
    source = sources.build(data.source, **data.source_options)
    found = source.find()
    logging.info("%s: about %d images", data.source, found.images)
    shared = made_from(config) if data.directory else ""
    return Job(data, source, found, shared)


def made_from(config: ml_collections.ConfigDict) -> str:
    """Returns a hash that changes when the prepared data would.

    It holds the version of the stage, as data that other code made may differ.
    """
    data = dataclasses.asdict(section(Data, config.data))
    del data["directory"]
    source = sources.build(config.data.source, **data["source_options"])
    version = VERSIONS["prepare"]
    return fingerprint.of(version, data, source.state())


def stage(
    config: ml_collections.ConfigDict,
    layout: Layout,
    beam_args: Sequence[str] = (),
) -> dict:
    """Prepares the images of a working directory, as a stage."""
    return prepare(config, layout.data, beam_args)


def prepare(
    config: ml_collections.ConfigDict,
    output: str | os.PathLike,
    beam_args: Sequence[str] = (),
) -> dict:
    """Writes the images of a source as shards, and a manifest of them.

    The directory gets the shards, `manifest.json`, `rejected.jsonl` with the
    key and the reason of every image that was set aside, and
    `duplicates.jsonl` with every copy that was dropped. It is published whole:
    whatever goes wrong, the old one stays.

    Args:
        config: The whole configuration; `config.data` is read.
        output: Local directory to publish. With `data.directory` the data set
            is made there, unless it is there already, and a copy is published
            as `output`, or a link if that is on a local disk, too. A link to
            other, shared data is replaced; through any other one its target.
        beam_args: Beam's own options.

    Returns:
        The manifest.

    Raises:
        ValueError: The configuration or the images cannot be used, or
            something that is not ours would be replaced.
        RuntimeError: The runner failed.
    """
    task = job(config)
    directory = task.data.directory
    runners.check_output(runners.options(beam_args), directory or str(output))
    place = placement.decide(
        output, directory, task.made_from, task.source.paths()
    )
    if not place.shared:
        _publish(task, output, beam_args, follow=place.follow)
    elif place.links:
        if placement.made_from(directory) != task.made_from:
            _publish(task, directory, beam_args)
        placement.link(output, directory)
    else:
        if placement.made_from(directory) != task.made_from:
            placement.check_objects(directory)
            _run(task, directory, beam_args)
        placement.fetch(output, directory, follow=place.follow)
    result = manifest.read(output)
    logging.info(
        "%s: %s, %d rejected, %d copies, %d of them dropped",
        output,
        result["counts"],
        result["rejected"],
        result["duplicates"]["copies"],
        result["duplicates"]["dropped"],
    )
    for each in overview.warnings(result, task.data.least):
        logging.warning("%s: %s", output, each)
    return result


def _publish(
    task: Job, output: str | os.PathLike, beam_args, *, follow: bool = True
) -> None:
    with publishing.published(output, own_files.DATA, follow=follow) as stage:
        stage.mkdir()
        _run(task, str(stage), beam_args)


def _run(task: Job, output: str, beam_args: Sequence[str]) -> None:
    """Runs the pipeline and waits for it."""
    options = runners.options(beam_args)
    if runners.is_template(options):
        raise ValueError(
            "keras-dynamic prepare waits for the images; docs/dataflow.md "
            "tells how to stage a template. Received: --template_location"
        )
    work = beam_files.join(output, f"work-{uuid.uuid4().hex}")
    beam_files.make_directory(work)
    pipeline = beam.Pipeline(options=options)
    with runners.plain_labels():
        _ = pipeline | "PrepareImages" >> PrepareImages(task, output, work)
    # Everything in an object store is asked for over the network.
    watched = contextlib.nullcontext()
    if beam_files.is_local(output):
        watched = terminal.following(
            functools.partial(shard.buckets_written, output),
            task.buckets,
            "prepared buckets of images",
        )
    try:
        with watched:
            runners.wait(pipeline)
    except Exception as error:
        if refused := finish.failure(work):
            raise ValueError(refused) from error
        raise
    finally:
        beam_files.remove_tree(work)


def _fractions(data: Data, found: Found) -> dict[str, float]:
    """Returns the shares of the splits that the publisher did not choose."""
    chosen = {
        split: 0.0 if split in found.splits else share
        for split, share in dataclasses.asdict(data.fractions).items()
    }
    images = found.images if found.divided is None else found.divided
    given = shares.raised(chosen, images, data.least)
    if given != chosen:
        logging.info(
            "shares of about %d images raised for %d in each split "
            "(`data.least`): %s",
            images,
            data.least,
            ", ".join(f"{split} {share:.3g}" for split, share in given.items()),
        )
    return given


def _wanted(fractions: Mapping[str, float], found: Found) -> tuple[str, ...]:
    """Returns the splits that must get images."""
    shared = (split for split, share in fractions.items() if share)
    return ("train", *found.splits, *shared)


def _form(data: Data) -> form.Form:
    """Returns how the images are stored."""
    large = data.size**2 * data.channels > data.raw_bytes
    return form.Form(
        size=data.size,
        channels=data.channels,
        encoded=data.storage == "encoded" or (data.storage == "auto" and large),
        rules=Rules(
            data.min_side,
            data.max_pixels,
            tuple(data.modes),
            tuple(data.formats),
        ),
    )
