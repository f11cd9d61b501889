"""Running a Beam pipeline to its end, on whatever runner."""

import re
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
)
from apache_beam.runners.runner import PipelineState

from pipeline import storage


class PipelineFailed(RuntimeError):
    """A pipeline that a runner did not finish; the message is one line."""


def options(beam_args: Sequence[str]) -> PipelineOptions:
    """Returns Beam's options.

    FnApiRunner is the default: DirectRunner is another engine when it can
    download one than when it cannot, and its last resort is known to merge
    side inputs.
    """
    return PipelineOptions(["--runner=FnApiRunner", *beam_args])


def check_output(beam_options: PipelineOptions, output: str) -> None:
    """Raises a ValueError if workers could not write to `output`."""
    runner = beam_options.view_as(StandardOptions).runner or ""
    if "Dataflow" in runner and storage.is_local(output):
        raise ValueError(
            "`output` must be in an object store, such as gs://bucket/name: "
            "the workers of Dataflow share no disk with this machine. "
            f"Received: {output}"
        )


def is_template(beam_options: PipelineOptions) -> bool:
    """Returns whether the pipeline is only staged, to run another time."""
    return bool(beam_options.view_as(GoogleCloudOptions).template_location)


def wait(pipeline: beam.Pipeline) -> None:
    """Runs a pipeline and waits until it is done.

    Raises:
        PipelineFailed: The runner says that it failed. What a step raised on
            the local runner passes as it is.
    """
    try:
        state = pipeline.run().wait_until_finish()
    except RuntimeError as error:
        raise PipelineFailed(_cause(str(error))) from error
    if state not in (None, PipelineState.DONE):
        raise PipelineFailed(f"the runner ended in the state {state}")


def _cause(text: str) -> str:
    """The line that tells most in the pages that a remote runner sends."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [
        line
        for line in lines
        if re.match(r"(Caused by: )?[\w.$]*(Error|Exception)\b", line)
    ]
    return (errors or lines or ["the runner gave no reason"])[-1][:500]
