import os
import pickle

import pytest
from PIL import Image

from pipeline.data import image
from pipeline.sources import file_names, image_folder


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
    }
    kinds = "not one of .jpg, .jpeg, .jpe, .jfif, .png, .webp, .bmp, .tif"
    assert rejected(source) == {
        "README": "not in a class directory",
        ".git/x.jpg": file_names.SKIPPED,
        "cat/notes.txt": f"{kinds}, .tiff, .gif",
        "cat/.DS_Store": file_names.SKIPPED,
        "dog/.hidden/2.jpg": file_names.SKIPPED,
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
    touch(tmp_path, "more/cat/1.jpg", "labels.txt", "train/1.jpg")
    assert rejected(image_folder.ImageFolder(str(tmp_path))) == {
        "more/cat/1.jpg": "outside of train/ and test/",
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
        (["cat/1.jpg", "dog/1.heic"], (), "none for dog"),
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


SYSTEM = (
    *("cat/.DS_Store", "cat/._1.jpg", "Thumbs.db", "dog/deep/THUMBS.DB"),
    *("desktop.ini", "__MACOSX/cat/._1.jpg", "__MACOSX/cat/1.jpg"),
    *("cat/.ipynb_checkpoints/1.jpg", "cat/deep/.ipynb_checkpoints/1.jpg"),
    *(".ipynb_checkpoints/1.jpg", ".git/HEAD"),
)


@pytest.mark.parametrize("root", ["", "train/", "test/"])
def test_hidden_and_system_files_are_skipped_at_every_depth(tmp_path, root):
    touch(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg")
    touch(tmp_path, *(root + name for name in SYSTEM))
    source = image_folder.ImageFolder(str(tmp_path))
    found = source.find()
    assert (found.labels, found.images) == (("cat", "dog"), 3)
    assert rejected(source) == {
        root + name: file_names.SKIPPED for name in SYSTEM
    }


SPLITS = [
    ("train", "val", {"validation"}),
    ("training", "validation", {"validation"}),
    ("Train", "Test", {"test"}),
    ("TRAIN", "dev", {"validation"}),
    ("train2017", "val2017", {"validation"}),
    ("train_images", "eval", {"test"}),
    ("train", "valid", {"validation"}),
    ("train-images", "t10k-images", {"test"}),
    ("seg_train", "seg_test", {"test"}),
    ("train", "calibration", {"calibration"}),
]


@pytest.mark.parametrize("classes_first", [False, True])
@pytest.mark.parametrize(("train", "held_out", "splits"), SPLITS)
def test_splits_in_any_usual_spelling(
    tmp_path, bucket, train, held_out, splits, classes_first
):
    names = [
        f"{label}/{top}/{i}.jpg" if classes_first else f"{top}/{label}/{i}.jpg"
        for label in ("cat", "dog")
        for top, count in ((train, 3), (held_out, 2))
        for i in range(count)
    ]
    touch(tmp_path, *names)
    bucket.update({f"bucket://b/photos/{name}": b"" for name in names})
    local = image_folder.ImageFolder(str(tmp_path))
    remote = image_folder.ImageFolder("bucket://b/photos")
    assert remote.find() == local.find()
    found = local.find()
    assert found.labels == ("cat", "dog")
    assert (set(found.splits), found.images, found.divided) == (splits, 10, 6)
    items = listed(local)
    assert sorted(items) == sorted(listed(remote))
    assert {item.key for item in items} == set(names)
    for item in items:
        assert found.labels[item.label] in item.key.split("/")
        assert {item.split} == (splits if held_out in item.key else {None})


@pytest.mark.parametrize(
    "files",
    [
        ["val/cat/1.jpg", "val/dog/1.jpg", "test/cat/1.jpg", "test/dog/1.jpg"],
        ["cat/1.jpg", "dog/1.jpg", "test/cat/2.jpg", "test/dog/2.jpg"],
        ["cat/1.jpg", "dog/1.jpg", "Train/cat/2.jpg"],
        ["cat/test/1.jpg", "cat/1.jpg", "dog/test/1.jpg", "dog/1.jpg"],
    ],
)
def test_an_unclear_layout_names_what_was_seen(tmp_path, files):
    touch(tmp_path, *files)
    with pytest.raises(
        ValueError, match=r"`path` must hold .*(val|Train|test)"
    ):
        image_folder.ImageFolder(str(tmp_path)).find()


def test_given_classes_may_be_named_like_splits(tmp_path):
    touch(tmp_path, "train/1.jpg", "test/1.jpg")
    source = image_folder.ImageFolder(str(tmp_path), ("train", "test"))
    assert source.find().labels == ("train", "test")
    assert {item.split for item in accepted(source)} == {None}


def test_files_beside_the_splits_of_a_class_are_set_aside(tmp_path):
    touch(tmp_path, "cat/train/1.jpg", "cat/val/1.jpg", "dog/train/1.jpg")
    touch(tmp_path, "cat/1.jpg", "cat/more/1.jpg", "1.jpg")
    beside = "in a class, but outside of train/ and val/"
    assert rejected(image_folder.ImageFolder(str(tmp_path))) == {
        "cat/1.jpg": beside,
        "cat/more/1.jpg": beside,
        "1.jpg": "not in a class directory",
    }


def test_other_kinds_are_named(tmp_path):
    touch(tmp_path, "cat/1.webp", "dog/1.GIF", "dog/2.heic", "dog/3.jpg.gz")
    source = image_folder.ImageFolder(str(tmp_path))
    assert {i.key for i in accepted(source)} == {"cat/1.webp", "dog/1.GIF"}
    reasons = rejected(source)
    assert "convert" in reasons["dog/2.heic"]
    assert "unpack" in reasons["dog/3.jpg.gz"]
