"""Copies of an image: where they go, and that none is trained on."""

import json

from pipeline.prepare import prepare_images
from tests.support.preparation import folder_config, records, write_folder


def copy_some(root, count):
    """Copies images under other names; returns {copy: original}."""
    copies = {}
    for index in range(count):
        original = f"cat/{index:03d}.png"
        copies[f"cat/copy{index}.png"] = original
        data = (root / original).read_bytes()
        (root / f"cat/copy{index}.png").write_bytes(data)
    return copies


def test_copies_are_in_the_split_of_their_original(tmp_path):
    write_folder(tmp_path / "in", 40)
    copies = copy_some(tmp_path / "in", 20)
    # One has another label.
    (tmp_path / "in/dog/cat.png").write_bytes(
        (tmp_path / "in/cat/030.png").read_bytes()
    )
    manifest = prepare_images.prepare(
        folder_config(tmp_path / "in", shard_images=20), tmp_path / "out"
    )
    assert manifest["duplicates"] == {
        "copies": 21,
        "across_splits": 0,
        "conflicting": 1,
        "dropped": 0,
    }
    found = records(tmp_path / "out", manifest)
    assert len(found) == 101
    for copy, original in copies.items():
        assert found[copy][0] == found[original][0]
    assert len({found[copy][0] for copy in copies}) > 1


def test_copies_are_dropped_if_wanted(tmp_path):
    write_folder(tmp_path / "in", 40)
    copies = copy_some(tmp_path / "in", 20)
    data = folder_config(tmp_path / "in", duplicates="drop")
    manifest = prepare_images.prepare(data, tmp_path / "out")
    assert manifest["duplicates"]["dropped"] == 20
    assert sum(manifest["counts"].values()) == 80
    assert manifest["listed"] == 100
    found = records(tmp_path / "out", manifest)
    lines = (tmp_path / "out" / "duplicates.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        pair = {row["key"], row["of"]}
        assert pair in [{a, b} for a, b in copies.items()]
        assert row["key"] not in found
        assert row["of"] in found


def test_a_copy_of_a_test_image_is_not_trained_on(tmp_path):
    write_folder(tmp_path / "in" / "train", 40)
    write_folder(tmp_path / "in" / "test", 5)
    for index in range(5):
        data = (tmp_path / f"in/test/cat/00{index}.png").read_bytes()
        (tmp_path / f"in/train/cat/copy{index}.png").write_bytes(data)
    manifest = prepare_images.prepare(
        folder_config(tmp_path / "in"), tmp_path / "out"
    )
    assert manifest["duplicates"]["across_splits"] == 5
    assert manifest["duplicates"]["dropped"] == 5
    assert manifest["counts"]["test"] == 10
    assert not [k for k in records(tmp_path / "out", manifest) if "copy" in k]
