"""Segments of a manifest have a place, and older bundles are as they were."""

import dataclasses
import json

import pytest

from tests.support import small_bundle
from tflite import bundle
from tflite.bundle import Wiring, server_places


def test_a_bundle_without_places_has_no_such_key(tmp_path):
    small_bundle.write(tmp_path)
    assert '"place"' not in (tmp_path / "manifest.json").read_text()
    assert bundle.read(str(tmp_path)).device_exits == 3


@pytest.mark.parametrize("exits", [1, 2, 3])
def test_places_are_written_and_read(tmp_path, exits):
    opened = small_bundle.write(tmp_path / "whole")
    found = bundle.rewrite(
        opened,
        str(tmp_path / "placed"),
        policy=opened.policy,
        operating_points={},
        segments=server_places.placed(opened.segments, exits),
    )
    assert found.device_exits == exits
    rows = json.loads((tmp_path / "placed/manifest.json").read_text())
    assert rows["format_version"] == 2
    assert [each.get("place") for each in rows["segments"]] == (
        [None] * exits + ["server"] * (3 - exits)
    )
    # All on the device again: the bytes of before.
    again = bundle.rewrite(
        found,
        str(tmp_path / "again"),
        policy=opened.policy,
        operating_points={},
        segments=server_places.placed(found.segments, 3),
    )
    assert again.segments == opened.segments
    assert (tmp_path / "again/manifest.json").read_bytes() == (
        tmp_path / "whole/manifest.json"
    ).read_bytes()


@pytest.mark.parametrize(
    "places",
    [
        ("server", "server", "server"),
        (None, "server", None),
        (None, "device", "device"),
        (None, 1, 1),
    ],
)
def test_other_places_are_refused(tmp_path, places):
    segments = [
        dataclasses.replace(each, place=place)
        for each, place in zip(
            small_bundle.write(tmp_path / "whole").segments,
            places,
            strict=True,
        )
    ]
    with pytest.raises(bundle.InvalidBundle, match="place` must be"):
        small_bundle.write(tmp_path / "placed", segments=segments)


@pytest.mark.parametrize("exits", [0, 4, 1.0, True + 3])
def test_a_number_of_exits_that_there_are_not(tmp_path, exits):
    segments = small_bundle.write(tmp_path).segments
    with pytest.raises(ValueError, match="`device_exits`"):
        server_places.placed(segments, exits)


def test_what_crosses_is_what_is_read_later_and_given_before():
    chain = [
        Wiring(("image",), ("exit_0", "a", "b"), 0),
        Wiring(("a", "image"), ("c",), None, gate="b"),
        Wiring(("a",), ("c",), None, bypass=True),
        Wiring(("c",), ("exit_1",), 1),
    ]
    assert server_places.crossing(chain, 0) == ("image",)
    assert server_places.crossing(chain, 1) == ("a", "image", "b")
    assert server_places.crossing(chain, 3) == ("c",)
    assert server_places.crossing(chain, 4) == ()
