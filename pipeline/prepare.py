"""The Beam pipeline from a source of images to TFRecord shards.

    listed items -> (split, shard) by hash -> GroupByKey -> one file per group

Only keys are shuffled, never pixels: a worker reads, decodes, resizes and
writes the images of a whole group. Where an image goes, and the order inside
a shard, follow from hashes of its key, so the same images give the same bytes
on every runner, in whatever order they were listed.

Beam's WriteToTFRecord is not used: its shards differ from run to run, and a
run that fails can leave some of them.
"""

import collections
import dataclasses
import inspect
import json
import math
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence

import apache_beam as beam
import ml_collections
from absl import logging
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import manifest, shard, sources, splits, workdir
from pipeline.sources.listing import Listing


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What `config.data` holds.

    Attributes:
        source: Name of a source.
        size: Height and width of the stored images.
        channels: 1 for grey, 3 for RGB.
        fractions: Shares of "validation", "calibration" and "test"; train is
            the rest. A source with a test split of its own keeps that.
        source_options: Arguments of the source's `find`.
        shard_images: Images per shard, on average.
        max_rejected: Largest share of the images that may be set aside.
        seed: Another seed gives other splits and another order.
    """

    source: str
    size: int
    channels: int
    fractions: Mapping[str, float]
    source_options: Mapping[str, object] = dataclasses.field(
        default_factory=dict
    )
    shard_images: int = 5000
    max_rejected: float = 0.01
    seed: int = 0

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


def prepare(
    config: ml_collections.ConfigDict,
    output: str | os.PathLike,
    beam_args: Sequence[str] = (),
) -> dict:
    """Writes the images of a source as shards, and what they hold.

    The directory gets the shards, `manifest.json`, and `rejected.jsonl` with
    the key and the reason of every image that was set aside. It is published
    whole: whatever goes wrong, the old one stays.

    Args:
        config: `config.data` holds the fields of `DataConfig`.
        output: Directory to publish.
        beam_args: Beam's own options. FnApiRunner is the default: DirectRunner
            is another engine when it can download one than when it cannot.

    Returns:
        The manifest.

    Raises:
        ValueError: The configuration or the images cannot be used.
    """
    data = _data_config(config)
    listing = _find(data)
    if any(item.split == "test" for item in listing.items):
        fractions = {**data.fractions, "test": 0.0}
        data = dataclasses.replace(data, fractions=fractions)
    with workdir.published(output) as stage:
        stage.mkdir()
        shards = _write_shards(data, listing, stage, beam_args)
        rejected = sorted(
            [*listing.rejected, *(pair for s in shards for pair in s.rejected)]
        )
        result = manifest.build(
            source=data.source,
            labels=listing.labels,
            size=data.size,
            channels=data.channels,
            shards=shards,
            rejected=len(rejected),
        )
        _check(data, listing, shards, result["counts"], rejected)
        with open(stage / "rejected.jsonl", "w", encoding="utf-8") as file:
            for key, reason in rejected:
                file.write(json.dumps({"key": key, "reason": reason}) + "\n")
        workdir.write_json(stage / manifest.FILE, result)
    logging.info("%s: %s, %d rejected", output, result["counts"], len(rejected))
    return result


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


def _find(data: DataConfig) -> Listing:
    source = sources.get(data.source)
    try:
        inspect.signature(source.find).bind(**data.source_options)
    except TypeError as error:
        raise ValueError(
            f"`data.source_options` do not fit source {data.source!r}: "
            f"{error}. Received: {dict(data.source_options)}"
        ) from error
    listing = source.find(**data.source_options)
    keys = collections.Counter(item.key for item in listing.items)
    if len(keys) < len(listing.items):
        key, times = keys.most_common(1)[0]
        raise ValueError(
            "The key of every image must be its own. "
            f"Received: {key!r} {times} times"
        )
    logging.info("%s: %d images", data.source, len(listing.items))
    return listing


def _write_shards(
    data: DataConfig,
    listing: Listing,
    stage: pathlib.Path,
    beam_args: Sequence[str],
) -> list[shard.Shard]:
    """Runs the pipeline; returns the shards in order."""
    listed = collections.Counter(
        item.split or splits.assign(item.key, data.fractions, data.seed)
        for item in listing.items
    )
    numbers = {
        split: math.ceil(listed[split] / data.shard_images) for split in listed
    }
    (stage / "work").mkdir()
    options = PipelineOptions(["--runner=FnApiRunner", *beam_args])
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | "Listed"
            >> beam.Create(
                (item.key, item.label, item.location, item.split)
                for item in listing.items
            )
            | "Place"
            >> beam.Map(
                shard.place,
                fractions=data.fractions,
                seed=data.seed,
                shards=numbers,
            )
            | "Group" >> beam.GroupByKey()
            | "WriteShard"
            >> beam.ParDo(
                shard.WriteShard(
                    stage=str(stage),
                    load=sources.get(data.source).load,
                    size=data.size,
                    channels=data.channels,
                    shards=numbers,
                )
            )
            | "WriteRow" >> beam.Map(shard.write_row, stage=str(stage))
        )
    shards = shard.read_rows(stage)
    shutil.rmtree(stage / "work")  # And the attempts of workers that died.
    return shards


def _check(
    data: DataConfig,
    listing: Listing,
    shards: Sequence[shard.Shard],
    counts: Mapping[str, int],
    rejected: Sequence[tuple[str, str]],
) -> None:
    """Raises an error unless the images can be trained on and tested."""
    listed = len(listing.items) + len(listing.rejected)
    accounted = sum(counts.values()) + len(rejected)
    if accounted != listed:
        raise RuntimeError(
            f"{listed} images were listed, but {accounted} came back from "
            "the pipeline: its runner lost or repeated some"
        )
    if len(rejected) > data.max_rejected * listed:
        first = "; ".join(f"{key}: {reason}" for key, reason in rejected[:5])
        raise ValueError(
            f"`data.max_rejected` lets at most {data.max_rejected:.2%} of the "
            f"images be set aside. Received: {len(rejected)} of {listed}, "
            f"first {first}"
        )
    wanted = {"train", *(s for s, share in data.fractions.items() if share)}
    if empty := [s for s in splits.SPLITS if s in wanted and not counts[s]]:
        raise ValueError(
            "Every split of `data.fractions` must get an image; use larger "
            f"fractions or more images. Received: none in {', '.join(empty)}"
        )
    taught = {
        label for row in shards if row.split == "train" for label in row.labels
    }
    if len(taught) < 2:
        raise ValueError(
            "The train split must hold at least two classes. Received: "
            f"{', '.join(listing.labels[label] for label in taught)}"
        )
