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
from tflite.bundle.manifest import InputFacts, InvalidBundle, SegmentFacts

__all__ = [
    "ARCHIVE",
    "CALIBRATION",
    "LABELS",
    "MANIFEST",
    "Bundle",
    "InputFacts",
    "InvalidBundle",
    "Part",
    "SegmentFacts",
    "read",
    "rewrite",
    "write",
]
