"""The stage `quantize` by each method, and when it is killed."""

import keras
import numpy as np
import pytest
from sklearn import datasets

from pipeline.config import load
from pipeline.quantization import quantize
from pipeline.quantization.resuming import Resuming
from pipeline.results import metrics_file
from pipeline.results.layout import Layout
from pipeline.training import network
from tests.support import command_line, prepared_data, tiny_config
from tflite.quantization import conversion, methods

pytestmark = pytest.mark.slow

STEPS = {"steps": 5, "checkpoint_steps": 2, "batch_size": 16}


def configured(**settings):
    config = tiny_config.get_config()
    config.quantize.update({**STEPS, **settings})
    return config


@pytest.fixture
def layout(tmp_path):
    """Is a directory as `evaluate` leaves it, of a network of any weights."""
    digits = datasets.load_digits()
    images = (digits.images[..., None] * 255 / 16).astype(np.uint8)
    members = {
        split: (images[start : start + 60], digits.target[start : start + 60])
        for start, split in enumerate(("train", "validation", "test"))
    }
    (tmp_path / "data").mkdir()
    prepared_data.write(tmp_path / "data", members)
    made = Layout(tmp_path)
    made.float_model.parent.mkdir()
    keras.utils.set_random_seed(1)
    network.build(configured(), 10).save(made.float_model)
    return made


def quantized(config, layout):
    # What `evaluate` measured; nothing here is about it.
    rows = [{"exit": k, "accuracy": {"float": 0.5}} for k in range(2)]
    metrics_file.write(layout.metrics, {"exits": rows})
    quantize.quantize(config, layout)


class Killed(BaseException):
    """Stands for a signal."""


def test_a_killed_fine_tuning_gives_the_same_bytes(layout, monkeypatch):
    config = configured(method="keras")
    quantized(config, layout)
    variables = layout.qat_model / "variables"
    [data] = variables.glob("variables.data*")
    expected, converted = (
        data.read_bytes(),
        conversion.convert(layout.qat_model),
    )
    assert not layout.fine_tuning.exists()

    save = Resuming.save

    def killed(self, model, optimizer, steps):
        save(self, model, optimizer, steps)
        if steps == 3:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Resuming, "save", killed)
        quantized(config, layout)
    assert layout.fine_tuning.exists()

    seen = []

    def noted(self, model, optimizer, steps):
        seen.append(steps)

    monkeypatch.setattr(Resuming, "save", noted)
    quantized(config, layout)
    assert seen == [3, 4, 5]
    [data] = variables.glob("variables.data*")
    assert data.read_bytes() == expected
    assert conversion.convert(layout.qat_model) == converted


@pytest.mark.parametrize("method", methods.NAMES)
def test_each_method_leaves_what_convert_reads(method, layout):
    quantized(configured(method=method), layout)
    assert conversion.convert(layout.qat_model)


def test_the_whole_way(tmp_path):
    config = load("resnet_digits")
    assert config.quantize.method == methods.DEFAULT
    command_line.run(
        "run",
        f"--config={tiny_config.__file__}",
        f"--workdir={tmp_path}",
        "--config.quantize.method=keras",
    )
    assert (tmp_path / "report" / "index.html").exists()
