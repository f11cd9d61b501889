"""The Beam pipeline from a source of images to TFRecord shards.

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
import inspect
import os
import uuid
from collections.abc import Mapping, Sequence

import apache_beam as beam
import ml_collections
from absl import logging

from pipeline import sources
from pipeline.beam import runners, spread
from pipeline.data import form, manifest, splits
from pipeline.data.image import Rules
from pipeline.prepare import finish, placement, plan, shard
from pipeline.processes import terminal
from pipeline.results import own_files
from pipeline.results.versions import VERSIONS
from pipeline.sources.item import Found
from pipeline.storage import beam_files, fingerprint, publishing

_DUPLICATES = ("keep", "drop")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What `config.data` holds.

    Attributes:
        source: Name of a source.
        size: Height and width of the stored images.
        channels: 1 for grey, 3 for RGB.
        fractions: Shares of "validation", "calibration" and "test"; train is
            the rest. A split that the publisher chose stays as it is.
        source_options: Options of the source.
        shard_images: Images per bucket, at most, on average. A bucket has a
            shard for each split.
        storage: "raw" stores pixels, "encoded" JPEG or PNG files; "auto" is
            raw up to `raw_bytes`.
        raw_bytes: Bytes of an image, height x width x channels.
        duplicates: "keep" or "drop" exact copies of an image within a split.
            One of an image in another, published split is always dropped.
        min_side: Images with a shorter side than this are set aside.
        max_pixels: Images with more pixels than this are set aside.
        modes: Accepted Pillow modes, such as ("RGB", "L"); empty for all.
        max_rejected: Largest share of the images that may be set aside.
        seed: Another seed gives other splits and another order.
        directory: Where the data set goes, if not in the working directory:
            another local path or one in an object store.
    """

    source: str
    size: int
    channels: int
    fractions: Mapping[str, float]
    source_options: Mapping[str, object] = dataclasses.field(
        default_factory=dict
    )
    shard_images: int = 5000
    storage: str = "auto"
    raw_bytes: int = 12_288
    duplicates: str = "keep"
    min_side: int = 1
    max_pixels: int = 64_000_000
    modes: Sequence[str] = ()
    max_rejected: float = 0.01
    seed: int = 0
    directory: str = ""

    def __post_init__(self) -> None:
        shares = self.fractions.values()
        rules = {
            "size": ("be at least 1", self.size >= 1),
            "channels": ("be 1 (grey) or 3 (RGB)", self.channels in (1, 3)),
            "fractions": (
                f"give {', '.join(splits.SPLITS[1:])} shares in [0, 1) and "
                "leave some for train",
                set(self.fractions) <= set(splits.SPLITS[1:])
                and all(share >= 0 for share in shares)
                and sum(shares) < 1,
            ),
            "shard_images": ("be at least 1", self.shard_images >= 1),
            "storage": (
                f"be one of {', '.join(form.STORAGE)}",
                self.storage in form.STORAGE,
            ),
            "duplicates": (
                f"be one of {', '.join(_DUPLICATES)}",
                self.duplicates in _DUPLICATES,
            ),
            "min_side": ("be at least 1", self.min_side >= 1),
            "max_pixels": ("be at least 1", self.max_pixels >= 1),
            "max_rejected": (
                "be a share in [0, 1]",
                0 <= self.max_rejected <= 1,
            ),
        }
        for name, (rule, holds) in rules.items():
            if not holds:
                raise ValueError(
                    f"`data.{name}` must {rule}. "
                    f"Received: {name}={getattr(self, name)}"
                )

    @property
    def form(self) -> form.Form:
        """How the images are stored."""
        auto = self.size**2 * self.channels > self.raw_bytes
        return form.Form(
            size=self.size,
            channels=self.channels,
            encoded=self.storage == "encoded"
            or (self.storage == "auto" and auto),
            rules=Rules(self.min_side, self.max_pixels, tuple(self.modes)),
        )


@dataclasses.dataclass(frozen=True)
class Job:
    """A preparation that can be run.

    Attributes:
        data: Its configuration.
        source: Where the images come from.
        found: What the source holds.
        made_from: Fingerprint of configuration and images, if the data set
            gets a directory of its own, where others look for it; or "".
    """

    data: DataConfig
    source: sources.Source
    found: Found
    made_from: str

    @property
    def buckets(self) -> int:
        """Into how many the images are divided."""
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
            job: From `job`.
            output: Directory of the data set, local or not, there for all
                workers.
            work: Directory below it for what is not to be kept.
        """
        super().__init__()
        self._job = job
        self._output = output
        self._work = work or beam_files.join(output, f"work-{uuid.uuid4().hex}")

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[dict]:
        """Builds the steps."""
        data, source, found = self._job.data, self._job.source, self._job.found
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
            storage="encoded" if data.form.encoded else "raw",
            splits=_wanted(placing.fractions, found),
            max_rejected=data.max_rejected,
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
                    form=data.form,
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
    data = _data_config(config)
    source = sources.build(data.source, **data.source_options)
    found = source.find()
    logging.info("%s: about %d images", data.source, found.images)
    shared = made_from(config) if data.directory else ""
    return Job(data, source, found, shared)


def made_from(config: ml_collections.ConfigDict) -> str:
    """Returns a hash that changes when the prepared data would.

    It holds the version of the stage, as data that other code made may differ.
    """
    data = dataclasses.asdict(_data_config(config))
    del data["directory"]
    source = sources.build(config.data.source, **data["source_options"])
    version = VERSIONS["prepare"]
    return fingerprint.of(version, data, source.state())


def prepare(
    config: ml_collections.ConfigDict,
    output: str | os.PathLike,
    beam_args: Sequence[str] = (),
) -> dict:
    """Writes the images of a source as shards, and what they hold.

    The directory gets the shards, `manifest.json`, `rejected.jsonl` with the
    key and the reason of every image that was set aside, and
    `duplicates.jsonl` with every copy that was dropped. It is published whole:
    whatever goes wrong, the old one stays.

    Args:
        config: `config.data` holds the fields of `DataConfig`.
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


def _fractions(data: DataConfig, found: Found) -> dict[str, float]:
    """Returns the shares of the splits that the publisher did not choose."""
    return {
        split: 0.0 if split in found.splits else share
        for split, share in data.fractions.items()
    }


def _wanted(fractions: Mapping[str, float], found: Found) -> tuple[str, ...]:
    """Returns the splits that must get images."""
    shared = (split for split, share in fractions.items() if share)
    return ("train", *found.splits, *shared)


def _data_config(config: ml_collections.ConfigDict) -> DataConfig:
    given = config.data.to_dict()
    fields = dataclasses.fields(DataConfig)
    try:
        inspect.signature(DataConfig).bind(**given)
    except TypeError as error:
        raise ValueError(
            f"`config.data` must hold {', '.join(f.name for f in fields)}: "
            f"{error}. Received: {', '.join(given)}"
        ) from error
    return DataConfig(**given)
