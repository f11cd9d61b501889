import json
import os
import shutil
import types

import numpy as np
import pytest
from PIL import Image

from pipeline.cli import classify_verb
from tests.support import tiny_bundle

FLAGS = {
    "json": True,
    "threads": 1,
    "xnnpack": True,
    "delegate": None,
    "delegate_option": [],
    "memory_mapped": False,
    "strict": True,
    "point": None,
    "budget_ms": None,
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle")
    tiny_bundle.write(path, thresholds=(1.0, 1.0, 0.0))
    return str(path)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(tiny_bundle.images(1)[0]).save(path)
    return str(path)


def run(bundle, *files, **changes):
    flags = types.SimpleNamespace(bundle=bundle, **(FLAGS | changes))
    classify_verb.run(flags, files)


def row(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "changes",
    [{}, {"threads": 2}, {"xnnpack": False}, {"memory_mapped": True}],
)
def test_options(bundle, photo, capsys, changes):
    run(bundle, photo, **changes)
    found = row(capsys)
    assert (found["exit"], found["stopped_by_budget"]) == (2, False)
    assert len(found["segment_ms"]) == 3


def test_an_archive_will_do(bundle, photo, capsys):
    run(bundle, photo)
    expected = row(capsys)
    run(f"{bundle}/bundle.zip", photo)
    assert row(capsys)["probabilities"] == expected["probabilities"]


def test_a_budget_stops_an_image(bundle, photo, capsys):
    run(bundle, photo, budget_ms=1e-6)
    found = row(capsys)
    assert (found["exit"], found["stopped_by_budget"]) == (0, True)
    run(bundle, photo, budget_ms=1e-6, json=False)
    assert capsys.readouterr().out.endswith(", stopped by the budget\n")


def test_images_that_cannot_be_read_are_named(bundle, photo, capsys, tmp_path):
    text, cut = tmp_path / "text.jpg", tmp_path / "cut.png"
    text.write_text("not an image")
    noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)
    Image.fromarray(noise).save(cut)
    cut.write_bytes(cut.read_bytes()[:5000])
    missing = str(tmp_path / "missing.jpg")
    with pytest.raises(ValueError, match=r"missing\.jpg: ") as error:
        run(bundle, missing, str(text), str(cut), str(tmp_path), photo)
    reasons = str(error.value).split("; ")
    assert reasons[0] == f"{missing}: No such file or directory"
    assert reasons[1] == f"{text}: not an image of a format that is read"
    assert reasons[2].startswith(f"{cut}: OSError")
    assert reasons[3] == f"{tmp_path}: Is a directory"
    # The others are classified all the same.
    assert row(capsys)["file"] == photo


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"point": "fast"}, "`point`"),
        ({"budget_ms": 0.0}, "`budget_ms`"),
        ({"delegate": "no/such/file.so"}, "`delegate`"),
        ({"delegate_option": ["a"]}, "`delegate_option`"),
        ({"delegate_option": ["a=b"]}, "must come with a `delegate`"),
    ],
)
def test_bad_flags(bundle, photo, changes, message):
    with pytest.raises(ValueError, match=message):
        run(bundle, photo, **changes)


def test_no_file_is_read_without_a_bound(bundle, photo, capsys, tmp_path):
    with open(tmp_path / "sparse.png", "wb") as file:
        file.truncate(3 << 30)
    os.mkfifo(tmp_path / "pipe.png")
    latin = os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.png")
    shutil.copy(photo, latin)
    paths = [str(tmp_path / name) for name in ("sparse.png", "pipe.png")]
    with pytest.raises(ValueError, match=r"sparse\.png: larger than") as error:
        run(bundle, *paths, latin)
    assert f"{tmp_path}/pipe.png: not a file" in str(error.value)
    assert row(capsys)["file"] == f"bytes:{tmp_path}/%E9.png"
