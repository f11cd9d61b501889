import io
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.data import image
from pipeline.sources import synthetic


def listed(source):
    return [item for p in source.find().pieces for item in source.items(p)]


def contents(source):
    """The bytes of each image."""
    loaded = (source.load(item.location) for item in listed(source))
    return [x if isinstance(x, bytes) else x.tobytes() for x in loaded]


def test_a_million_images_in_pieces():
    found = synthetic.Synthetic().find()
    assert found.images == 1_000_000
    assert found.labels == tuple("0123456789")
    assert len(found.pieces) == 20


def test_every_image_is_in_one_piece():
    source = synthetic.Synthetic(images=120_001)
    assert len(source.find().pieces) == 3
    items = listed(source)
    assert [int(item.location) for item in items] == list(range(120_001))
    assert [item.label for item in items[:11]] == [*range(10), 0]
    assert {(item.split, item.reason) for item in items} == {(None, "")}
    assert items[-1].key == "000120000"


@given(st.integers(0, 500), st.integers(0, 500))
def test_items_do_not_depend_on_the_pieces(cut, other):
    source = synthetic.Synthetic(images=500, duplicates=0.3)
    cuts = [0, *sorted((cut, other)), 500]
    pieces = [f"{a}:{b}" for a, b in itertools.pairwise(cuts)]
    items = [item for piece in pieces for item in source.items(piece)]
    assert items == listed(source)


@pytest.mark.parametrize("encoding", synthetic.ENCODINGS)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_of_the_size_and_all_different(encoding, channels):
    source = synthetic.Synthetic(300, 16, channels, 3, encoding)
    assert len(set(contents(source))) == 300
    for location in ("299", "0"):
        loaded = source.load(location)
        if encoding == "raw":
            assert loaded.dtype == np.uint8
            assert loaded.shape == (16, 16, channels)
        else:
            opened = Image.open(io.BytesIO(loaded))
            assert opened.format == encoding.upper()
            assert opened.size == (16, 16)
            assert opened.mode == ("L" if channels == 1 else "RGB")


def test_an_image_is_a_function_of_number_and_seed():
    source = synthetic.Synthetic(1000)
    first = source.load("7")
    source.load("999")
    again = pickle.loads(pickle.dumps(source)).load("7")
    np.testing.assert_array_equal(first, again)
    larger = synthetic.Synthetic(2000).load("7")
    np.testing.assert_array_equal(first, larger)
    assert (synthetic.Synthetic(1000, seed=1).load("7") != first).any()


def test_the_class_can_be_seen():
    source = synthetic.Synthetic(600, classes=6)
    images = np.stack([source.load(str(n)) for n in range(600)]).astype(float)
    labels = np.arange(600) % 6
    means = np.stack(
        [images[:300][labels[:300] == c].mean(0) for c in range(6)]
    )
    distances = ((images[300:, None] - means) ** 2).sum((2, 3, 4))
    assert (distances.argmin(1) == labels[300:]).all()


def test_duplicates_repeat_an_image_and_its_label():
    source = synthetic.Synthetic(2000, 8, duplicates=0.25)
    first = {}
    for item, content in zip(listed(source), contents(source), strict=True):
        label = first.setdefault(content, item.label)
        assert label == item.label
    assert 0.22 < 1 - len(first) / 2000 < 0.28


@pytest.mark.parametrize("encoding", synthetic.ENCODINGS)
def test_damaged_files_cannot_be_decoded(encoding):
    source = synthetic.Synthetic(1000, 8, encoding=encoding, damaged=0.1)
    reasons = []
    for item in listed(source):
        loaded = source.load(item.location)
        if isinstance(loaded, bytes):
            try:
                image.decode(loaded)
            except image.BadImage as error:
                reasons.append(str(error))
    assert 70 < len(reasons) < 130
    assert len(set(reasons)) >= 3
    sound = synthetic.Synthetic(1000, 8, encoding=encoding)
    same = map(np.array_equal, contents(source), contents(sound))
    assert sum(same) == 1000 - len(reasons)


def test_the_state_tells_options_apart():
    options = [{}, {"seed": 1}, {"size": 8}, {"damaged": 0.5}]
    states = {synthetic.Synthetic(**o).state() for o in options}
    assert len(states) == len(options)
    assert synthetic.Synthetic().state() in states


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": 0}, "`images`"),
        ({"images": 5}, "`images`"),
        ({"size": 3}, "`size`"),
        ({"channels": 2}, "`channels`"),
        ({"classes": 1}, "`classes`"),
        ({"encoding": "gif"}, "`encoding`"),
        ({"seed": -1}, "`seed`"),
        ({"duplicates": 1.0}, "`duplicates`"),
        ({"damaged": -0.1}, "`damaged`"),
    ],
)
def test_unusable_options(options, message):
    with pytest.raises(ValueError, match=message):
        synthetic.Synthetic(**options)
