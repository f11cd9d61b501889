"""Reads and writes the directory that ships; numpy only."""

from tflite.bundle.directory import (
    ARCHIVE,
    CALIBRATION,
    LABELS,
    MANIFEST,
    Bundle,
    read,
    rewrite,
    write,
)
from tflite.bundle.input_facts import FitFacts, InputFacts
from tflite.bundle.manifest import InvalidBundle, SegmentFacts, segment_facts
from tflite.bundle.wiring import Wiring

__all__ = [
    "ARCHIVE",
    "CALIBRATION",
    "LABELS",
    "MANIFEST",
    "Bundle",
    "FitFacts",
    "InputFacts",
    "InvalidBundle",
    "SegmentFacts",
    "Wiring",
    "read",
    "rewrite",
    "segment_facts",
    "write",
]
