"""Tells which model, answers and policy a result is about."""

import pathlib
from collections.abc import Mapping
from typing import Any

from pipeline.results.layout import Layout
from pipeline.storage import fingerprint, json_file
from tflite.bundle import manifest
from tflite.bundle.manifest_rules import MAX_TEXT_BYTES
from tflite.format import files

# Attributes of `Layout`, by the names of their hashes.
_FILES = {
    "data": "data_manifest",
    "float_model": "float_model",
    "float_predictions": "float_predictions",
    "qat_predictions": "qat_predictions",
    "model": "tflite_model",
    "predictions": "predictions",
    "routed": "converted",
}
_SHIPPED = ("model", "predictions", "policy")
# The stages that measure something, in their order, and what that is about.
# The answers of a model stand for it where its file has a date in it.
ABOUT = {
    "evaluate": ("data", "float_model"),
    "quantize": ("float_predictions", "qat_predictions"),
    "convert": ("qat_predictions", "model", "predictions"),
    "check": _SHIPPED,
    # Times are of the policies that `convert` tried, one by one.
    "benchmark": (*_SHIPPED, "routed"),
}


def identity(layout: Layout, stage: str) -> dict[str, str]:
    """Hashes the files and the policy that results are about, by name.

    A result keeps the hashes as "made_from". They tell that it is of another
    model, of other images or of another policy. The time at which a file was
    written does not, since a copy or a wrong clock changes it. Operating points
    beside the bundle's own policy change nothing.

    Args:
        layout: Where the files lie.
        stage: Name of the stage, one of `ABOUT`.

    Returns:
        A hash per name in `ABOUT`; none for a file that is not there.
    """
    return _hashes(layout, ABOUT[stage])


def facts(layout: Layout) -> dict[str, str]:
    """Hashes all files that results can be about, and the policy."""
    return _hashes(layout, (*_FILES, "policy"))


def fits(made_from: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Tells whether a result is about the files that are there now.

    Args:
        made_from: Hashes from `identity`, when the result was made.
        now: Hashes from `identity` or `facts`. A file that is no longer there
            tells nothing: numbers outlive a model that was removed to save
            room.
    """
    return all(now.get(name, each) == each for name, each in made_from.items())


def of_this_model(
    path: pathlib.Path, now: Mapping[str, str]
) -> dict[str, Any] | None:
    """Reads a result, if there is one and it is about what is there now.

    Args:
        path: A JSON file with "made_from".
        now: Hashes from `facts`.
    """
    if not path.exists():
        return None
    found = json_file.read(path)
    made_from = found.get("made_from")
    return found if made_from and fits(made_from, now) else None


def _hashes(layout, names) -> dict[str, str]:
    found = fingerprint.of_files(
        {
            name: str(getattr(layout, _FILES[name]))
            for name in names
            if name in _FILES
        }
    )
    if "policy" in names:
        try:
            data = files.read(layout.bundle_manifest, MAX_TEXT_BYTES)
            policy = manifest.decode(data).policy
        except (OSError, ValueError):
            return found
        found["policy"] = fingerprint.of(policy.to_dict())
    return found
