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
    events.scalars("train", 1, {"loss": 2.5, "accuracy/exit_0": 0.25})
    events.scalars("train", 2, {"loss": 1.5})
    events.close()
    found = [
        (event.step, event.tensor_proto.float_val[0])
        for event in read(tmp_path / "train").Tensors("loss")
    ]
    assert found == [(1, 2.5), (2, 1.5)]


def test_runs_share_the_names_that_are_drawn_in_one_chart(tmp_path):
    from tensorboard.backend.event_processing import event_multiplexer

    events = Events(tmp_path)
    events.scalars("train", 1, {"loss": 2.5, "learning_rate": 0.1})
    events.scalars("validation", 1, {"loss": 3.5})
    events.close()
    # As TensorBoard itself reads --logdir.
    runs = event_multiplexer.EventMultiplexer()
    runs.AddRunsFromDirectory(str(tmp_path)).Reload()
    found = {run: {*tags["tensors"]} for run, tags in runs.Runs().items()}
    assert found == {
        "train": {"loss", "learning_rate"},
        "validation": {"loss"},
    }
    [event] = runs.Tensors("validation", "loss")
    assert event.tensor_proto.float_val[0] == 3.5


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_read_back(tmp_path, channels):
    pixels = np.random.default_rng(0).random((2, 4, 5, channels), np.float32)
    events = Events(tmp_path)
    events.images("train", 0, "images", pixels)
    events.close()
    for number, each in enumerate(pixels):
        [event] = read(tmp_path / "train").Images(f"images/{number}")
        shown = Image.open(io.BytesIO(event.encoded_image_string))
        assert shown.size == (event.width, event.height)
        found = np.asarray(shown).reshape(each.shape)
        np.testing.assert_allclose(found / 255, each, atol=0.5001 / 255)
