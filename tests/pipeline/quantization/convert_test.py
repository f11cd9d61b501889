"""Bundles of `convert` with and without tflite-support."""

import importlib.metadata
import sys

import pytest

from pipeline.quantization import convert
from tests.support import small_bundle
from tflite import bundle
from tflite.bundle import metadata


def written(directory) -> bundle.Bundle:
    size, _, channels = small_bundle.SHAPE
    convert.write_bundle(
        str(directory),
        facts=convert.BundleFacts(
            name="small",
            family="ranet",
            size=size,
            channels=channels,
            stored_size=size,
            labels=small_bundle.LABELS,
        ),
        cut=small_bundle.segments(),
        policy=small_bundle.POLICY,
    )
    return bundle.read(str(directory))


def test_without_tflite_support_segments_stay_as_they_are(
    tmp_path, monkeypatch
):
    version = importlib.metadata.version

    def others(name):
        if name == "tflite-support":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", others)
    monkeypatch.setitem(sys.modules, "libusb_package", None)
    opened = written(tmp_path)
    assert [
        (tmp_path / each.file).read_bytes() for each in opened.segments
    ] == [each.model for each in small_bundle.segments()]
    versions = opened.provenance["versions"]
    assert versions["tflite-support"] is None
    assert versions["keras"] == version("keras")


@pytest.mark.skipif(
    not metadata.available(), reason="tflite-support is not installed"
)
def test_with_it_they_have_metadata(tmp_path):
    opened = written(tmp_path)
    for each, segment in zip(
        opened.segments, small_bundle.segments(), strict=True
    ):
        described = (tmp_path / each.file).read_bytes()
        assert b"TFLITE_METADATA" in described
        assert b"TFLITE_METADATA" not in segment.model
