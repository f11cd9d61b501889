"""`keras-dynamic score`: runs a bundle on many images, with Beam."""

import json
import os
from collections.abc import Sequence

from pipeline.processes import printing


def define(flags) -> None:
    """Defines the flags of this verb; --bundle and --output are everyone's."""
    flags.DEFINE_multi_string(
        "input",
        [],
        "Pattern of image files (.jpg, .jpeg, .png) or TFRecords; repeatable.",
    )
    flags.DEFINE_enum(
        "format",
        "tfrecord",
        ["tfrecord", "csv", "parquet"],
        "Of the rows that are written.",
    )
    flags.DEFINE_integer(
        "batch_size",
        64,
        "Images that a segment takes at once.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "num_shards",
        0,
        "Number of files with rows; 0 leaves it to the runner.",
        lower_bound=0,
    )
    flags.DEFINE_bool(
        "escape_formulas",
        False,
        "Whether a key in CSV that begins with = + - or @ gets a ' in front.",
    )


def run(flags, positional: Sequence[str], beam_args: Sequence[str]) -> None:
    """Scores the images, and prints how many stopped where.

    Raises:
        ValueError: The flags, the bundle or the images cannot be used, or
            there are files of the same prefix.
        RuntimeError: The runner failed.
    """
    del positional
    import apache_beam as beam

    from pipeline.beam import runners
    from pipeline.scoring import bundle_handler, score_images
    from pipeline.storage import beam_files

    pipeline = beam.Pipeline(options=runners.options(beam_args))
    template = runners.is_template(pipeline.options)
    job = _job(flags)
    runners.check_output(pipeline.options, job.output)
    # Whoever stages a template may not see what it will run on.
    if not template:
        bundle_handler.described(job.bundle)
        score_images.check_unused(job)
    score_images.build(pipeline, job)
    runners.wait(pipeline)
    if not template:
        printing.show(
            score_images.text(json.loads(beam_files.read(job.summary)))
        )


def build(pipeline, flags) -> None:
    """Adds the steps of this verb to a pipeline, for whoever launches it."""
    from pipeline.scoring import score_images

    score_images.build(pipeline, _job(flags))


def _job(flags):
    from pipeline.scoring import score_images
    from pipeline.storage import beam_files

    if not flags.input:
        raise ValueError("keras-dynamic score needs --input")

    def found_anywhere(path: str) -> str:
        """Workers may run in another directory."""
        return os.path.abspath(path) if beam_files.is_local(path) else path

    return score_images.Job(
        bundle=found_anywhere(flags.bundle),
        inputs=tuple(map(found_anywhere, flags.input)),
        output=found_anywhere(flags.output),
        form=flags.format,
        batch_size=flags.batch_size,
        shards=flags.num_shards,
        escape_formulas=flags.escape_formulas,
    )
