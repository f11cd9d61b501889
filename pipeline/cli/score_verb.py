"""Carries out `keras-dynamic score`: runs a bundle on many images with Beam."""

import json
import os
from collections.abc import Sequence

from pipeline.processes import printing


def run(flags, positional: Sequence[str], beam_args: Sequence[str]) -> None:
    """Scores the images, and prints how many stopped at which exit.

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
    """Adds the steps of this verb to a pipeline, which the caller launches."""
    from pipeline.scoring import score_images

    score_images.build(pipeline, _job(flags))


def _job(flags):
    from pipeline.scoring import score_images
    from pipeline.storage import beam_files

    if not flags.input:
        raise ValueError("keras-dynamic score needs --input")

    def found_anywhere(path: str) -> str:
        """Returns a path for workers, which may run in another directory."""
        return os.path.abspath(path) if beam_files.is_local(path) else path

    return score_images.Job(
        bundle=found_anywhere(flags.bundle),
        inputs=tuple(map(found_anywhere, flags.input)),
        output=found_anywhere(flags.output),
        form=flags.format,
        batch_size=flags.batch_size,
        shards=flags.num_shards,
        escape_formulas=flags.escape_formulas,
        folder_labels=flags.folder_labels,
        probability_columns=flags.probability_columns,
    )
