"""Runs a Beam pipeline to its end, on whatever runner."""

import contextlib
import re
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DirectOptions,
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
)
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineState
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from pipeline.beam import loopback
from pipeline.storage import beam_files


class PipelineFailed(RuntimeError):
    """Says in one line that a runner did not finish a pipeline."""


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
    if "Dataflow" in runner and beam_files.is_local(output):
        raise ValueError(
            "`output` must be in an object store, such as gs://bucket/name: "
            "the workers of Dataflow share no disk with this machine. "
            f"Received: {output}"
        )


def is_template(beam_options: PipelineOptions) -> bool:
    """Returns whether the pipeline is only staged, to run another time."""
    return bool(beam_options.view_as(GoogleCloudOptions).template_location)


@contextlib.contextmanager
def plain_labels() -> Iterator[None]:
    """Has Beam leave labels as they are while a pipeline is put together.

    In a notebook Beam would put a cell's number before them, and import modules
    that only its extra `interactive` installs.
    """
    before = beam.pipeline.alter_label_if_ipython
    beam.pipeline.alter_label_if_ipython = lambda transform, pvalueish: None
    try:
        yield
    finally:
        beam.pipeline.alter_label_if_ipython = before


def wait(pipeline: beam.Pipeline) -> None:
    """Runs a pipeline and waits until it is done.

    Servers that Beam starts on this machine listen on localhost only. A Ctrl-C
    ends the wait, and a job that runs elsewhere on code of this process.

    Raises:
        PipelineFailed: The runner says that it failed. What a step raised on
            the local runner passes as it is.
    """
    try:
        with loopback.only():
            state = _ended(pipeline)
    except RuntimeError as error:
        raise PipelineFailed(_cause(str(error))) from error
    if state not in (None, PipelineState.DONE):
        raise PipelineFailed(f"the runner ended in the state {state}")


def _ended(pipeline: beam.Pipeline) -> str | None:
    """Returns the state in which a pipeline ends."""
    if not isinstance(pipeline.runner, PortableRunner):
        _leave_interrupts_to_us(pipeline)
        return pipeline.run().wait_until_finish()
    with _deaf():
        result = pipeline.run()
    try:
        return result.wait_until_finish()
    except KeyboardInterrupt:
        with contextlib.suppress(Exception):
            result.cancel()
        raise


def _leave_interrupts_to_us(pipeline: beam.Pipeline) -> None:
    """Lets the local runner's worker processes ignore a Ctrl-C.

    A terminal sends a Ctrl-C to all processes. The workers would print pages
    about it, although this process ends them anyway.
    """
    direct = pipeline.options.view_as(DirectOptions)
    if (
        isinstance(pipeline.runner, FnApiRunner)
        and direct.direct_running_mode == "multi_processing"
    ):
        # As the runner would start them itself, but for the trap.
        pipeline.runner = FnApiRunner(
            SubprocessSDKEnvironment.from_command_string(
                f"trap '' INT; exec {shlex.quote(sys.executable)} "
                "-m apache_beam.runners.worker.sdk_worker_main"
            )
        )
        direct.direct_running_mode = None


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Keeps SIGINT from processes that threads begun in the block start.

    A SIGINT that comes within the block takes effect at its end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _cause(text: str) -> str:
    """Returns the most telling line of the pages that a remote runner sends."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [
        line
        for line in lines
        if re.match(r"(Caused by: )?[\w.$]*(Error|Exception)\b", line)
    ]
    return (errors or lines or ["the runner gave no reason"])[-1][:500]
