"""Judges an experiment by a reference, and reports the verdict."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence

import ml_collections

from pipeline.gate import (
    comparison,
    junit,
    markdown,
    reference,
    reference_file,
    suspects,
    text_table,
    where,
)
from pipeline.gate.finding import Finding
from pipeline.gate.measured import Measured, finite
from pipeline.gate.reference import Reference
from pipeline.gate.verdict import Verdict
from pipeline.processes import printing
from pipeline.results.layout import Layout
from pipeline.storage import publishing
from tflite import bundle
from tflite.diagnosis import difference
from tflite.diagnosis.layer_error import LayerError
from tflite.format import files

# The first is written first.
_REPORTS = ("gate.json", "junit.xml", "gate.md")


@dataclasses.dataclass(frozen=True)
class Request:
    """Describes a request to `keras-dynamic check`.

    Attributes:
        reference: The reference file.
        update: Whether to write the reference instead of failing.
        output: Directory for the verdict as JSON, JUnit XML and Markdown.
        reference_model: An int8 model to compare the new one with.
    """

    reference: pathlib.Path
    update: bool = False
    output: pathlib.Path | None = None
    reference_model: pathlib.Path | None = None


def previous(request: Request, config: str) -> Reference | None:
    """Returns the reference to compare with; None if it is yet to be written.

    Args:
        request: The request to answer.
        config: Name of the configuration that is checked.

    Raises:
        ValueError: If the reference cannot be used or is of another
            configuration, or somebody else's report lies where that of the
            verdict would go.
    """
    if request.output is not None:
        _check_output(request.output)
    if request.update and not request.reference.exists():
        return None
    found = reference_file.read(request.reference, for_update=request.update)
    if found.config != config:
        raise ValueError(
            f"`reference` {request.reference} must be of the configuration "
            f"{config!r}, which is checked; a new file takes its own. "
            f"Received: one of {found.config!r}"
        )
    return found


def judge(
    request: Request,
    old: Reference | None,
    config: ml_collections.ConfigDict,
    layout: Layout,
    measured: Measured,
    made_from: Mapping[str, str],
    shipped: bundle.Bundle,
    limits: Sequence[str],
) -> Verdict:
    """Compares, explains, writes the files asked for, and prints a table.

    Args:
        request: The request to answer.
        old: The reference, from `previous`.
        config: The configuration.
        layout: Where the experiment lies.
        measured: The numbers that the experiment reached.
        made_from: Hashes of what they are about; see
            `pipeline.results.identity`.
        shipped: The bundle of the experiment.
        limits: Rules without a reference that the experiment broke. With any,
            or with a metric that is no finite number, the reference is not
            updated.

    Raises:
        ValueError: If the reference is of other images, or the reference model
            is damaged.
        OSError: If there is no reference model.
    """
    measured, strange = finite(measured)
    limits = [*limits, *strange]
    findings = [Finding("limits", "limit", each) for each in limits]
    findings = findings or [Finding("limits", "passed")]
    if request.update and (old is None or old.sha256 != measured.sha256):
        findings += comparison.new(measured)
    else:
        findings += comparison.compare(old, measured)
    layers: list[LayerError] = []
    causes: list[str] = []
    update = request.update and not limits
    failed = {each.metric for each in findings if each.failed}
    if update or where.in_the_layers(failed):
        try:
            layers = _layer_errors(config, layout)
        except (ValueError, OSError) as error:
            causes.append(f"the layers could not be compared: {error}")
    if update:
        own = suspects.own_errors(layers)
        reference_file.write(
            request.reference, reference.updated(old, measured, own)
        )
    elif failed:
        model = files.model(layout.tflite_model)
        before = request.reference_model
        causes += where.in_the_data(failed, measured)
        if before is not None:
            causes += difference.differences(files.model(before), model)
        if layers:
            causes += suspects.suspects(layers, old.layer_errors if old else {})
        causes += where.in_the_bundle(failed, model, shipped)
        causes += where.in_the_policies(
            failed, measured, old.policies if old else {}
        )
    verdict = Verdict(
        config.name,
        old.level if old else reference.LEVEL,
        len(measured.keys),
        tuple(findings),
        tuple(causes),
        tuple(layers),
        update,
        made_from,
    )
    if request.output is not None:
        _publish(request.output, verdict)
    printing.show(text_table.text(verdict))
    return verdict


def _layer_errors(
    config: ml_collections.ConfigDict, layout: Layout
) -> list[LayerError]:
    # Keras takes seconds to import, and a gate that is open needs it not.
    from pipeline.gate import layers

    return layers.errors(config, layout)


def _check_output(directory: pathlib.Path) -> None:
    """Raises ValueError if files of others would be replaced.

    Test runners write a junit.xml, too; ours never lies without a gate.json.
    """
    if directory.exists() and not directory.is_dir():
        raise ValueError(
            f"`output` must be a directory. Received: {directory}, a file"
        )
    there = [name for name in _REPORTS if (directory / name).exists()]
    if there and _REPORTS[0] not in there:
        raise ValueError(
            f"`output` must not hold another {there[0]}, which would be "
            f"replaced. Received: {directory}"
        )


def _publish(directory: pathlib.Path, verdict: Verdict) -> None:
    text = json.dumps(verdict.to_dict(), indent=2, allow_nan=False)
    reports = (
        f"{text}\n".encode(),
        junit.xml(verdict),
        markdown.text(verdict).encode(),
    )
    for name, data in zip(_REPORTS, reports, strict=True):
        with publishing.published(directory / name) as stage:
            stage.write_bytes(data)
