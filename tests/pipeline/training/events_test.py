import io

import numpy as np
import pytest
from PIL import Image

from pipeline.training.events import Events


def read(directory):
    from tensorboard.backend.event_processing import event_accumulator

    return event_accumulator.EventAccumulator(str(directory)).Reload()


def test_numbers_are_read_back(tmp_path):
    events = Events(tmp_path)
    events.scalars(1, {"train/loss": 2.5, "train/accuracy": 0.25})
    events.scalars(2, {"train/loss": 1.5})
    events.close()
    found = [
        (event.step, event.tensor_proto.float_val[0])
        for event in read(tmp_path).Tensors("train/loss")
    ]
    assert found == [(1, 2.5), (2, 1.5)]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_read_back(tmp_path, channels):
    pixels = np.random.default_rng(0).random((2, 4, 5, channels), np.float32)
    events = Events(tmp_path)
    events.images(0, "images", pixels)
    events.close()
    for number, each in enumerate(pixels):
        [event] = read(tmp_path).Images(f"images/{number}")
        shown = Image.open(io.BytesIO(event.encoded_image_string))
        assert shown.size == (event.width, event.height)
        found = np.asarray(shown).reshape(each.shape)
        np.testing.assert_allclose(found / 255, each, atol=0.5001 / 255)
