"""Reads and writes the directory that ships; numpy only."""

from tflite.bundle.directory import (
    ARCHIVE,
    CALIBRATION,
    LABELS,
    MANIFEST,
    Bundle,
    Part,
    read,
    rewrite,
    write,
)
from tflite.bundle.input_facts import FitFacts, InputFacts
from tflite.bundle.manifest import InvalidBundle, SegmentFacts

__all__ = [
    "ARCHIVE",
    "CALIBRATION",
    "LABELS",
    "MANIFEST",
    "Bundle",
    "FitFacts",
    "InputFacts",
    "InvalidBundle",
    "Part",
    "SegmentFacts",
    "read",
    "rewrite",
    "write",
]
