import os
import pickle

import pytest
from PIL import Image

from pipeline.data import image
from pipeline.sources import image_folder


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def listed(source):
    return [item for p in source.find().pieces for item in source.items(p)]


def accepted(source):
    return [item for item in listed(source) if not item.reason]


def rejected(source):
    items = [item for item in listed(source) if item.reason]
    assert {(i.label, i.location, i.split) for i in items} <= {(-1, "", None)}
    return {item.key: item.reason for item in items}


def test_one_class_per_directory(tmp_path):
    touch(tmp_path, "dog/1.jpg", "cat/2.PNG", "cat/3.JpEg", "cat/b/4.png")
    source = image_folder.ImageFolder(str(tmp_path))
    found = source.find()
    assert (found.labels, found.images) == (("cat", "dog"), 4)
    assert found.splits == ()
    items = accepted(pickle.loads(pickle.dumps(source)))
    assert {(i.key, i.label, i.split) for i in items} == {
        ("dog/1.jpg", 1, None),
        ("cat/2.PNG", 0, None),
        ("cat/3.JpEg", 0, None),
        ("cat/b/4.png", 0, None),
    }
    for item in items:
        assert item.location == item.key


def test_a_published_test_split_stays(tmp_path):
    touch(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg")
    source = image_folder.ImageFolder(str(tmp_path))
    assert source.find().labels == ("cat", "dog")
    assert source.find().splits == ("test",)
    assert {(i.key, i.label, i.split) for i in accepted(source)} == {
        ("train/cat/1.jpg", 0, None),
        ("train/dog/1.jpg", 1, None),
        ("test/cat/1.jpg", 0, "test"),
    }


def test_test_alone_is_a_class(tmp_path):
    touch(tmp_path, "test/1.jpg", "other/1.jpg")
    source = image_folder.ImageFolder(str(tmp_path))
    assert source.find().labels == ("other", "test")
    assert {item.split for item in accepted(source)} == {None}


def test_nothing_disappears(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg", "dog/.hidden/2.jpg")
    touch(tmp_path, "README", "cat/notes.txt", "cat/.DS_Store", ".git/x.jpg")
    os.symlink("nowhere", tmp_path / "cat" / "dangling.png")
    for directory in (b"", b"/dog", b"/\xff"):
        directory = os.fsencode(tmp_path) + directory
        os.makedirs(directory, exist_ok=True)
        os.close(os.open(directory + b"/\xff.jpg", os.O_CREAT))
    source = image_folder.ImageFolder(str(tmp_path))
    assert {item.key for item in accepted(source)} == {
        "cat/1.jpg",
        "dog/1.jpg",
        "cat/dangling.png",
        "dog/.hidden/2.jpg",
    }
    assert rejected(source) == {
        "README": "not in a class directory",
        ".git/x.jpg": "not in a class directory",
        "cat/notes.txt": "not one of .jpg, .jpeg, .png",
        "cat/.DS_Store": "not one of .jpg, .jpeg, .png",
        "bytes:dog/%FF.jpg": "the name is not UTF-8",
        "bytes:%FF.jpg": "the name is not UTF-8",
        "bytes:%FF/%FF.jpg": "the name is not UTF-8",
    }
    files = sum(len(files) for _, _, files in os.walk(tmp_path))
    assert len(listed(source)) == files
    for piece in source.find().pieces:  # Beam's coders refuse the rest.
        piece.encode()


def test_files_beside_train_and_test_are_rejected(tmp_path):
    touch(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg")
    touch(tmp_path, "val/cat/1.jpg", "labels.txt", "train/1.jpg")
    assert rejected(image_folder.ImageFolder(str(tmp_path))) == {
        "val/cat/1.jpg": "outside of train/ and test/",
        "labels.txt": "outside of train/ and test/",
        "train/1.jpg": "not in a class directory",
    }


def test_links_to_directories_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/1.jpg", "data/dog/1.jpg")
    os.symlink(tmp_path / "elsewhere", tmp_path / "data" / "cat")
    os.symlink(tmp_path / "data", tmp_path / "data" / "dog" / "up")
    source = image_folder.ImageFolder(str(tmp_path / "data"))
    assert {i.key for i in accepted(source)} == {"cat/1.jpg", "dog/1.jpg"}
    loop = "a link to a directory that holds it"
    assert rejected(source) == {"dog/up/": loop}


def test_brackets_in_the_path(tmp_path):
    root = tmp_path / "a[1]*"
    touch(root, "cat/1.jpg", "dog/1.jpg")
    assert len(accepted(image_folder.ImageFolder(str(root)))) == 2


def test_a_relative_path_means_the_same_in_every_process(tmp_path, monkeypatch):
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg")
    monkeypatch.chdir(tmp_path)
    source = image_folder.ImageFolder(".")
    monkeypatch.chdir("/")
    assert len(accepted(source)) == 2


def test_an_object_store_gives_the_same_items(tmp_path, bucket):
    names = ["train/cat/1.jpg", "train/dog/b/2.png", "test/cat/1.jpg"]
    names += ["README", "test/x", "train/dog/notes.txt"]
    touch(tmp_path, *names)
    bucket.update({f"bucket://b/photos/{name}": b"" for name in names})
    bucket["bucket://b/photos/train/"] = b""
    bucket["bucket://b/photos/train/cat/"] = b""
    local = image_folder.ImageFolder(str(tmp_path))
    remote = image_folder.ImageFolder("bucket://b/photos/")
    assert remote.find() == local.find()
    assert {item.key for item in listed(local)} == set(names)
    assert set(listed(remote)) == set(listed(local))
    (item,) = (i for i in listed(remote) if i.key == "test/cat/1.jpg")
    bucket[f"bucket://b/photos/{item.key}"] = b"jpeg"
    assert remote.load(item.location) == b"jpeg"


def test_given_classes_give_the_labels(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg", "emu/1.jpg", "emu/2.txt")
    source = image_folder.ImageFolder(str(tmp_path), ["dog", "fox", "cat"])
    assert source.find().labels == ("dog", "fox", "cat")
    assert {(i.key, i.label) for i in accepted(source)} == {
        ("cat/1.jpg", 2),
        ("dog/1.jpg", 0),
    }
    assert rejected(source) == {
        "emu/1.jpg": "unknown class 'emu'",
        "emu/2.txt": "unknown class 'emu'",
    }


@pytest.mark.parametrize(
    ("files", "classes", "message"),
    [
        ([], (), "two directories"),
        (["1.jpg", "2.jpg"], (), "two directories"),
        (["cat/1.jpg"], (), r"two directories.*\['cat'\]"),
        (["cat/1.jpg", "dog/1.webp"], (), "none for dog"),
        (["cat/1.jpg", "dog/1.jpg"], ("cat", "dgo"), "two directories.*dgo"),
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
        image_folder.ImageFolder(str(tmp_path), classes).find()


def test_an_empty_class_directory(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg")
    (tmp_path / "emu").mkdir()
    with pytest.raises(ValueError, match="none for emu"):
        image_folder.ImageFolder(str(tmp_path)).find()


@pytest.mark.parametrize("classes", ["cat", ("cat", "cat"), (1, 2)])
def test_unusable_classes(classes):
    with pytest.raises(ValueError, match="`classes`"):
        image_folder.ImageFolder("x", classes)


@pytest.mark.parametrize("path", ["", "/does/not/exist", "bucket://no/where"])
def test_a_missing_folder(path):
    with pytest.raises(ValueError, match=r"`path` must be (an existing|given)"):
        image_folder.ImageFolder(path).find()


def test_loads_a_file_as_it_is(tmp_path):
    path = tmp_path / "1.png"
    Image.new("L", (3, 2), 7).save(path)
    source = image_folder.ImageFolder(str(tmp_path))
    assert source.load("1.png") == path.read_bytes()


def test_a_file_that_has_gone_is_a_bad_image(tmp_path):
    source = image_folder.ImageFolder(str(tmp_path))
    with pytest.raises(image.BadImage, match="cannot be read: No such file"):
        source.load("1.png")


def test_the_state_sees_files_and_options(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg")
    source = image_folder.ImageFolder(str(tmp_path))
    before = source.state()
    assert source.state() == before
    named = image_folder.ImageFolder(str(tmp_path), ("cat", "dog"))
    assert named.state() != before
    touch(tmp_path, "cat/2.jpg")
    assert source.state() != before


@pytest.mark.parametrize("size", [1, 3, 7])
def test_parts_of_a_directory_add_up(tmp_path, monkeypatch, size):
    for i in range(20):
        for name in (f"cat/{i}.jpg", f"dog/{i % 5}/{i}.png", f"dog/{i}.txt"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    source = image_folder.ImageFolder(str(tmp_path))
    whole = listed(source)
    monkeypatch.setattr(image_folder, "_PIECE", size)
    pieces = source.find().pieces
    assert len(pieces) == 1 + 2 * -(-20 // size)
    assert sorted(listed(source)) == sorted(whole)
    assert len(whole) == 60
