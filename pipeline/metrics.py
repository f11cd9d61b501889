"""metrics.json: what CI, the gate and the report read.

`evaluate` begins it; each later stage adds its own numbers. What has not been
measured yet is absent. The fields:

    format_version, config, model, dataset {split: n, rejected: n}
    exits      per exit: exit, madds, params (cumulative), accuracy {float,
               qat, int8}, latency_ms up to the exit
    routed     per policy: policy, target, accuracy, mean_madds,
               mean_latency_ms, exit_shares, bundle (whether it ships)
    chain      samples, mismatches, overhead (chain p50 / unsplit p50)
    segment_latency_ms, unsplit_latency_ms, chain_latency_ms,
    routed_latency_ms    each {mean, p50, p90, p99}
"""

import json
import pathlib

from pipeline import workdir

FORMAT_VERSION = 1


def read(path: pathlib.Path) -> dict:
    """Reads a metrics file.

    Raises:
        ValueError: If there is none, or it is not one of this version.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} must be what `keras-dynamic evaluate` writes: {error}"
        ) from error
    version = isinstance(found, dict) and found.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} must have format_version {FORMAT_VERSION}. "
            f"Received: {version}"
        )
    return found


def write(path: pathlib.Path, metrics: dict) -> None:
    """Writes a metrics file, atomically."""
    workdir.write_json(path, {"format_version": FORMAT_VERSION, **metrics})


def set_accuracies(metrics: dict, kind: str, accuracies: list[float]) -> None:
    """Notes the accuracy of every exit; kind is "float", "qat" or "int8"."""
    for row, accuracy in zip(metrics["exits"], accuracies, strict=True):
        row["accuracy"][kind] = accuracy
