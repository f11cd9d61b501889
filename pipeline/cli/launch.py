"""Builds a pipeline and submits it, for a Dataflow flex template.

The template's launcher gives the template's parameters as `--name=value`;
a flag that is not ours is Beam's. A job starts only when the program that
built it has ended, so nothing here waits for it.
"""

import importlib
import sys
from collections.abc import Callable, Sequence

import apache_beam as beam
import ml_collections
from absl import flags, logging
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult

from pipeline import config
from pipeline.beam import runners
from pipeline.cli import verbs
from pipeline.cli.flag import Flag
from pipeline.cli.verb import FLAGS
from pipeline.prepare import prepare_images
from pipeline.storage import apart

# Every pipeline that can be launched, and the flags that it has to be given.
VERBS = {
    "prepare": ("config", "output"),
    "score": ("bundle", "input", "output"),
    "sweep": ("config", "output"),
}
# A template takes its configuration by name, and prepares into a directory.
_FLAGS_OF_PREPARE = {
    "config": Flag("A configuration, by name."),
    "output": FLAGS["output"],
    "overrides": Flag("KEY=VALUE;KEY=VALUE of the configuration.", default=""),
}


def main(verb: str) -> None:
    """Launches a verb with the arguments of this process."""
    logging.set_verbosity(logging.INFO)
    try:
        launch(verb, sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"{verb}: error: {error}")


def launch(verb: str, arguments: Sequence[str]) -> PipelineResult:
    """Submits the pipeline of a verb, and does not wait for its end.

    Args:
        verb: One of `VERBS`.
        arguments: The verb's flags and Beam's options, `--name=value` each.

    Raises:
        ValueError: If they do not fit.
    """
    ours = parameters(verb)
    try:
        _, *beam_args = ours([verb, *arguments], known_only=True)
    except flags.Error as error:
        raise ValueError(str(error)) from error
    if missing := [name for name in VERBS[verb] if not ours[name].value]:
        raise ValueError(f"{verb} needs --{', --'.join(missing)}")
    options = PipelineOptions(beam_args)
    runners.check_output(options, ours.output)
    pipeline = beam.Pipeline(options=options)
    _build(verb)(pipeline, ours)
    return pipeline.run()


def parameters(verb: str) -> flags.FlagValues:
    """Returns the flags of a verb, which are its template's parameters."""
    values = flags.FlagValues()
    own = verbs.VERBS[verb].flags if verb != "prepare" else _FLAGS_OF_PREPARE
    for name, flag in own.items():
        flag.define(name, values)
    return values


def configure(name: str, overrides: str = "") -> ml_collections.ConfigDict:
    """Returns a configuration in which some values are replaced.

    Args:
        name: Name that `keras-dynamic list` prints.
        overrides: "data.size=64;data.channels=1", as they would follow
            `--config.` on the command line.

    Raises:
        ValueError: If there is no such configuration, key or value.
    """
    return config.overridden(
        config.load(name), filter(None, overrides.split(";"))
    )


def _build(verb: str) -> Callable:
    """Returns the function that builds the pipeline of a verb."""
    if verb == "prepare":
        return _build_prepare
    return importlib.import_module(f"pipeline.cli.{verb}_verb").build


def _build_prepare(pipeline: beam.Pipeline, ours: flags.FlagValues) -> None:
    job = prepare_images.job(configure(ours.config, ours.overrides))
    read = map(apart.location, job.source.paths())
    apart.check(apart.location(ours.output), read)
    _ = pipeline | "PrepareImages" >> prepare_images.PrepareImages(
        job, ours.output
    )
