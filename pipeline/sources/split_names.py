"""Recognises the split in a name that somebody else chose."""

import functools
import re
from collections.abc import Sequence

_SPELLINGS = {
    "train": ("train", "training", "trainset"),
    "validation": (
        *("validation", "validate", "valid", "val", "valset"),
        *("dev", "devel", "devset"),
    ),
    "calibration": ("calibration", "calib"),
    "test": ("test", "testing", "testset", "eval", "evaluation", "t10k"),
}
_SPLIT_OF = {
    spelling: split
    for split, spellings in _SPELLINGS.items()
    for spelling in spellings
}
# Words that say nothing more of a split, as in "test_images" and "seg_train".
_FILLERS = {"data", "image", "images", "img", "imgs", "seg", "set", "split"}
_WORD = re.compile(r"t10k|[^\W\d_]+")


@functools.lru_cache(maxsize=4096)
def of(name: str) -> str:
    """Returns the split that a whole name says, or "".

    Case, numbers and words such as "images" do not count: "Training",
    "test_images" and "val2017" are names of splits, "test cat" is none.
    """
    words = {word for word in _words(name) if word not in _FILLERS}
    return _SPLIT_OF.get(*words, "") if len(words) == 1 else ""


@functools.lru_cache(maxsize=4096)
def within(path: str) -> str:
    """Returns the one split that a word in a path says, or "".

    The name of the file counts before that of its directory, and so on; a name
    that says several splits says none.
    """
    for name in reversed(path.split("/")):
        said = {_SPLIT_OF[word] for word in _words(name) if word in _SPLIT_OF}
        if said:
            return said.pop() if len(said) == 1 else ""
    return ""


def spellings(splits: Sequence[str] = tuple(_SPELLINGS)) -> str:
    """Returns the spellings of splits, for a message."""
    return ", ".join(name for split in splits for name in _SPELLINGS[split])


def _words(name: str) -> list[str]:
    return _WORD.findall(name.casefold())
