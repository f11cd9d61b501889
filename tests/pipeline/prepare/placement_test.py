"""Preparation never replaces, and never mixes with, what is not its own."""

import os
import re

import pytest

from pipeline import sources
from pipeline.data import manifest
from pipeline.prepare import prepare_images
from pipeline.results.own_files import DATA
from pipeline.storage import apart, beam_files
from tests.support import object_store
from tests.support.preparation import (
    NO_FRACTIONS,
    config,
    contents,
    folder_config,
    write_folder,
)


@pytest.fixture(name="photos")
def _photos(tmp_path):
    write_folder(tmp_path / "photos", 5)
    return tmp_path / "photos"


def everything(root) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def refused(root, data, output, name="path"):
    """Prepares, which must be refused and change nothing."""
    before = everything(root)
    with pytest.raises(ValueError, match=f"`{re.escape(name)}`"):
        prepare_images.prepare(data, output)
    assert everything(root) == before


def test_photos_where_the_data_set_would_go(photos, tmp_path):
    (tmp_path / "work").mkdir()
    photos.rename(tmp_path / "work" / "data")
    refused(tmp_path, config(), tmp_path / "work" / "data")


def test_photos_as_the_directory_of_the_data_set(photos, tmp_path):
    data = config(directory=str(photos))
    refused(tmp_path, data, tmp_path / "data")
    (tmp_path / "data").symlink_to(photos)
    refused(tmp_path, config(), tmp_path / "data")


def test_a_file_beside_a_data_set(tmp_path):
    prepare_images.prepare(config(), tmp_path / "data")
    (tmp_path / "data" / "NOTES").write_text("mine")
    refused(tmp_path, config(), tmp_path / "data")
    refused(tmp_path, config(directory=f"{tmp_path}/shared"), tmp_path / "data")
    assert not (tmp_path / "shared").exists()


def test_records_of_somebody_else(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train-00000-of-00004.tfrecord").write_text("mine")
    refused(tmp_path, config(), tmp_path / "data")


@pytest.mark.parametrize(
    ("output", "directory"),
    [
        ("photos/run/data", ""),
        ("photos", ""),
        (".", ""),
        ("work/data", "photos"),
        ("work/data", "photos/set"),
        ("work/data", "link/set"),
        ("photos/run/data", "set"),
        ("work/data", "work/data/set"),
        ("work/data", "work"),
        ("link/run/data", ""),
    ],
)
def test_images_and_results_lie_apart(photos, tmp_path, output, directory):
    (tmp_path / "link").symlink_to(photos)
    data = folder_config(
        photos, directory=directory and str(tmp_path / directory)
    )
    refused(tmp_path, data, tmp_path / output, "data.directory")


def test_a_data_set_is_not_made_from_itself(tmp_path):
    directory = tmp_path / "data"
    prepare_images.prepare(config(), directory)
    data = config(
        "tfrecord",
        source_options={
            "pattern": f"{directory}/train-*.tfrecord",
            "image": "image/raw",
            "label": "image/label",
            "classes": 10,
            "raw": True,
        },
    )
    refused(tmp_path, data, directory, "data.directory")
    assert prepare_images.prepare(data, tmp_path / "other")["listed"] > 0


def test_a_neighbour_of_nearly_the_same_name(photos, tmp_path):
    data = folder_config(photos, fractions=NO_FRACTIONS, untaught="keep")
    prepare_images.prepare(data, tmp_path / "photos-data")
    assert (tmp_path / "photos-data" / "manifest.json").exists()


def test_the_directory_may_be_that_of_the_working_directory(tmp_path):
    data = config(directory=str(tmp_path / "data"))
    for _ in range(2):
        prepare_images.prepare(data, tmp_path / "data")
        assert not (tmp_path / "data").is_symlink()
        assert manifest.read(tmp_path / "data")["listed"] == 1797


def test_shared_data_stay_when_they_are_not_asked_for_any_more(tmp_path):
    shared, output = tmp_path / "shared", tmp_path / "data"
    prepare_images.prepare(config(directory=str(shared)), output)
    (shared / "README").write_text("for all of us")
    prepare_images.prepare(config(directory=str(shared)), output)
    before = contents(shared)
    prepare_images.prepare(config(seed=1), output)
    assert contents(shared) == before
    assert not output.is_symlink()
    assert manifest.read(output)["made_from"] == ""


def test_a_disk_that_data_were_moved_to_is_followed(tmp_path):
    prepare_images.prepare(config(), tmp_path / "disk")
    (tmp_path / "data").symlink_to("disk")
    prepare_images.prepare(config(seed=1), tmp_path / "data")
    assert (tmp_path / "data").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["data", "disk"]


def test_a_link_to_data_of_an_earlier_version_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "manifest.json").write_text('{"format_version": 1}')
    (tmp_path / "data").symlink_to("disk")
    prepare_images.prepare(config(), tmp_path / "data")
    assert manifest.read(tmp_path / "disk")["listed"] == 1797


def test_every_file_of_a_data_set_is_known(tmp_path):
    prepare_images.prepare(config(), tmp_path / "data")
    for name in os.listdir(tmp_path / "data"):
        assert DATA.fullmatch(name)


def test_an_object_store_with_other_objects():
    with object_store.bucket() as root:
        directory = f"{root}/photos"
        beam_files.write(f"{directory}/cat/1.jpg", b"mine")
        beam_files.write(f"{directory}/rejected.jsonl", b"mine, too")
        with pytest.raises(ValueError, match=r"`data.directory`"):
            prepare_images.prepare(config(directory=directory), "never")
        assert beam_files.read(f"{directory}/rejected.jsonl") == b"mine, too"


def test_an_object_store_with_an_older_data_set(tmp_path):
    with object_store.bucket() as root:
        directory = f"{root}/set"
        beam_files.write(
            f"{directory}/work-{'0' * 32}/left", b"by a killed run"
        )
        prepare_images.prepare(config(directory=directory), tmp_path / "data")
        again = config(directory=directory, seed=1)
        prepare_images.prepare(again, tmp_path / "data")
        found = prepare_images.prepare(again, tmp_path / "data")
        assert contents(tmp_path / "data").keys() == {
            *(shard["file"] for shard in found["shards"]),
            "manifest.json",
            "rejected.jsonl",
            "duplicates.jsonl",
        }


@pytest.mark.parametrize(
    ("written", "read"),
    [("gs://b/a", "gs://b"), ("gs://b/a/", "gs://b/a"), ("gs://b", "gs://b/a")],
)
def test_objects_lie_apart(written, read):
    with pytest.raises(ValueError, match=r"`data\.directory`"):
        apart.check(apart.location(written), [apart.location(read)])


def test_objects_and_files_do(tmp_path):
    for written, read in [
        ("gs://b/a", "gs://b/ab"),
        ("gs://b/a", "/gs:/b/a"),
        ("a", "gs://a"),
    ]:
        apart.check(apart.location(written), [apart.location(read)])


def test_sources_name_what_they_read(tmp_path):
    (tmp_path / "a-0").touch()
    for name, options, expected in [
        ("digits", {}, ()),
        ("image_folder", {"path": str(tmp_path)}, (str(tmp_path),)),
        ("table", {"path": f"{tmp_path}/a.csv"}, (f"{tmp_path}/a.csv",)),
        (
            "tfrecord",
            {"pattern": f"{tmp_path}/a-*", "labels_file": f"{tmp_path}/b"},
            (f"{tmp_path}/a-0", f"{tmp_path}/b"),
        ),
    ]:
        assert sources.build(name, **options).paths() == expected
