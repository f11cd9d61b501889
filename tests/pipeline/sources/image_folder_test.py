import os

import pytest
from PIL import Image

from pipeline import image
from pipeline.sources import image_folder


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_one_class_per_directory(tmp_path):
    touch(tmp_path, "dog/1.jpg", "cat/2.PNG", "cat/3.JpEg", "cat/b/4.png")
    listing = image_folder.find(str(tmp_path))
    assert listing.labels == ("cat", "dog")
    assert {(i.key, i.label, i.split) for i in listing.items} == {
        ("dog/1.jpg", 1, None),
        ("cat/2.PNG", 0, None),
        ("cat/3.JpEg", 0, None),
        ("cat/b/4.png", 0, None),
    }
    for item in listing.items:
        assert item.location == str(tmp_path / item.key)


def test_a_published_test_split_stays(tmp_path):
    touch(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg")
    listing = image_folder.find(str(tmp_path))
    assert listing.labels == ("cat", "dog")
    assert {(i.key, i.split) for i in listing.items} == {
        ("train/cat/1.jpg", None),
        ("train/dog/1.jpg", None),
        ("test/cat/1.jpg", "test"),
    }


def test_nothing_disappears(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg")
    touch(tmp_path, "README", "cat/notes.txt", "cat/.DS_Store", ".git/x.jpg")
    os.symlink("nowhere", tmp_path / "cat" / "dangling.png")
    broken = os.fsencode(tmp_path / "dog") + b"/\xff.jpg"
    os.close(os.open(broken, os.O_CREAT))
    listing = image_folder.find(str(tmp_path))
    keys = {item.key for item in listing.items}
    assert keys == {"cat/1.jpg", "dog/1.jpg", "cat/dangling.png"}
    assert dict(listing.rejected) == {
        "README": "not in a class directory",
        ".git/x.jpg": "not in a class directory",
        "cat/notes.txt": "not one of .jpg, .jpeg, .png",
        "cat/.DS_Store": "not one of .jpg, .jpeg, .png",
        "dog/\\udcff.jpg": "the name is not UTF-8",
    }


def test_files_beside_train_and_test_are_rejected(tmp_path):
    touch(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg")
    touch(tmp_path, "val/cat/1.jpg", "labels.txt")
    rejected = dict(image_folder.find(str(tmp_path)).rejected)
    assert rejected == {
        "val/cat/1.jpg": "outside of train/ and test/",
        "labels.txt": "outside of train/ and test/",
    }


def test_links_to_directories_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/1.jpg", "data/dog/1.jpg")
    os.symlink(tmp_path / "elsewhere", tmp_path / "data" / "cat")
    listing = image_folder.find(str(tmp_path / "data"))
    assert {i.key for i in listing.items} == {"cat/1.jpg", "dog/1.jpg"}


def test_brackets_in_the_path(tmp_path):
    root = tmp_path / "a[1]*"
    touch(root, "cat/1.jpg", "dog/1.jpg")
    assert len(image_folder.find(str(root)).items) == 2


def test_given_classes_give_the_labels(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg")
    listing = image_folder.find(str(tmp_path), classes=["dog", "fox", "cat"])
    assert listing.labels == ("dog", "fox", "cat")
    assert {(i.key, i.label) for i in listing.items} == {
        ("cat/1.jpg", 2),
        ("dog/1.jpg", 0),
    }


@pytest.mark.parametrize(
    ("files", "classes", "message"),
    [
        ([], (), "two directories"),
        (["1.jpg", "2.jpg"], (), "two directories"),
        (["cat/1.jpg"], (), r"two directories.*\['cat'\]"),
        (["cat/1.jpg", "dog/1.webp"], (), "none for dog"),
        (["cat/1.jpg", "dog/1.jpg"], ("cat", "dgo"), "without dog"),
        (["cat/1.jpg", "dog/1.jpg"], ("cat", "dog", "cat"), "differ"),
        (
            ["train/a/1.jpg", "train/b/1.jpg", "test/c/1.jpg"],
            (),
            "none for c",
        ),
    ],
)
def test_unusable_folders(tmp_path, files, classes, message):
    touch(tmp_path, *files)
    with pytest.raises(ValueError, match=message):
        image_folder.find(str(tmp_path), classes)


@pytest.mark.parametrize("path", ["", "/does/not/exist"])
def test_a_missing_folder(path):
    with pytest.raises(ValueError, match="`path` must be an existing"):
        image_folder.find(path)


def test_loads_an_image(tmp_path):
    path = tmp_path / "1.png"
    Image.new("L", (3, 2), 7).save(path)
    assert image_folder.load(str(path)).size == (3, 2)


def test_a_file_that_has_gone_is_a_bad_image(tmp_path):
    with pytest.raises(image.BadImage, match="cannot be read: No such file"):
        image_folder.load(str(tmp_path / "1.png"))
