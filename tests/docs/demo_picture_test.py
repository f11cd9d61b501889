"""Checks that README's picture and text are of one run."""

import pathlib
import re

from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]


def test_the_picture_is_of_the_run_whose_text_is_shown():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"(?s)It ends with:\n\n```\n(.*?)\nreport  ", readme)[1]
    with Image.open(ROOT / "docs" / "images" / "report.png") as picture:
        assert picture.text["summary"] == block
