import pytest

from pipeline.sources import split_names


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("TRAINING", "train"),
        ("valid", "validation"),
        ("dev", "validation"),
        ("test_images", "test"),
        ("t10k", "test"),
        ("val2017", "validation"),
        ("training train", ""),
        ("test cat", ""),
        ("trainer", ""),
        ("images", ""),
        ("", ""),
    ],
)
def test_a_whole_name_is_that_of_a_split(name, split):
    assert split_names.of(name) == split


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("coco_test.record-00000-of-00010", "test"),
        ("test/train-0", "train"),
        ("test/0", "test"),
        ("train-test/0", ""),
        ("test/train-test", ""),
        ("latest/contest", ""),
    ],
)
def test_a_word_in_a_path_says_a_split(path, split):
    assert split_names.within(path) == split


def test_spellings_can_be_listed():
    assert "t10k" in split_names.spellings()
    assert split_names.spellings(("train",)).startswith("train, training")
