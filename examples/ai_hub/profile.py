"""Profiles each segment of a bundle on phones that Qualcomm AI Hub hosts.

NOT RUN HERE: the service needs an account and a network. What was tested is the
logic, against a client that only plays the service. The calls are those of
qai-hub 0.56: `get_devices`, `submit_inference_job`, `download_profile`.

    pip install qai-hub
    qai-hub configure --api_token=TOKEN
    python -m examples.ai_hub.profile runs/demo/bundle costs.json "PHONE"

costs.json holds milliseconds; `keras-dynamic policy --exit_ms=...` takes the
`exit_ms` of a device. Models leave this machine: they are uploaded.
"""

import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from tflite import bundle

# The CPU alone, as the harness runs; other runtimes may round differently.
_OPTIONS = "--compute_unit cpu"


def profile(
    directory: str, devices: Sequence[str], hub: Any
) -> dict[str, dict[str, Any]]:
    """Returns what each segment takes on each device.

    Args:
        directory: A bundle's directory.
        devices: Names as the service lists them.
        hub: The module `qai_hub`, or a client with the same calls.

    Returns:
        By device `segment_ms`, a number per segment's file, and `exit_ms`, the
        milliseconds up to each exit if every segment runs: with gates an upper
        bound. Calls between segments are not in them.

    Raises:
        ValueError: if there is no such bundle or device, or a job fails.
    """
    opened = bundle.read(directory)
    phones = {name: _device(hub, name) for name in devices}
    jobs = {
        name: [
            hub.submit_inference_job(
                str(pathlib.Path(directory) / segment.file),
                phone,
                name=f"{opened.name} {segment.file}",
                options=_OPTIONS,
                profile=True,
            )
            for segment in opened.segments
        ]
        for name, phone in phones.items()
    }
    return {
        name: _costs(opened, [_milliseconds(job) for job in mine])
        for name, mine in jobs.items()
    }


def _device(hub: Any, name: str) -> Any:
    found = hub.get_devices(name=name)
    if not found:
        raise ValueError(
            "`devices` must be names that the service lists (`qai-hub "
            f"list-devices`). Received: {name!r}"
        )
    return found[0]


def _milliseconds(job: Any) -> float:
    """Returns a job's time; the service counts microseconds."""
    summary = job.download_profile().get("execution_summary", {})
    found = summary.get("estimated_inference_time")
    if not isinstance(found, int | float) or found <= 0:
        raise ValueError(
            "`execution_summary` of every job must have an estimated inference "
            f"time. Received: {found!r} from job {job.job_id}"
        )
    return found / 1000


def _costs(opened: Any, segment_ms: list[float]) -> dict[str, Any]:
    files = [segment.file for segment in opened.segments]
    return {
        "segment_ms": dict(zip(files, segment_ms, strict=True)),
        "exit_ms": [sum(segment_ms[: end + 1]) for end in opened.ends],
    }


def main() -> None:
    """Writes the costs, or says in one line why not."""
    if len(sys.argv) < 4:
        sys.exit("usage: profile.py BUNDLE COSTS_JSON DEVICE [DEVICE ...]")
    directory, output, *devices = sys.argv[1:]
    if not (pathlib.Path(directory) / "manifest.json").is_file():
        sys.exit(
            "ai_hub: error: BUNDLE must be a directory with a manifest.json. "
            f"Received: {directory}"
        )
    if not (pathlib.Path.home() / ".qai_hub" / "client.ini").is_file():
        sys.exit(
            "ai_hub: error: needs a token of Qualcomm AI Hub: "
            "qai-hub configure --api_token=TOKEN"
        )
    try:
        import qai_hub
    except ImportError:
        sys.exit("ai_hub: error: needs qai-hub: pip install qai-hub")
    try:
        found = profile(directory, devices, qai_hub)
    except (ValueError, OSError, qai_hub.client.Error) as error:
        sys.exit(f"ai_hub: error: {error}")
    text = json.dumps({"format_version": 1, "devices": found}, indent=2)
    pathlib.Path(output).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
