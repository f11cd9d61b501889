import subprocess
import sys

import keras
import numpy as np

from keras_dynamic.layers import BilinearResize
from pipeline import evaluate
from pipeline.layout import Layout


def test_a_model_with_our_layers_loads_in_a_new_process(tmp_path):
    inputs = keras.Input((4, 4, 1))
    layout = Layout(tmp_path)
    layout.float_model.parent.mkdir()
    keras.Model(inputs, BilinearResize(2, 2)(inputs)).save(layout.float_model)
    # Nothing that imports the layers comes before `evaluate`.
    code = (
        "import pathlib, sys; from pipeline import evaluate, layout;"
        "found = layout.Layout(pathlib.Path(sys.argv[1]));"
        "print(evaluate.load_model(found).output_shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "(None, 2, 2, 1)"


def test_predict_gives_every_exit_of_every_image(monkeypatch, tmp_path):
    images = np.arange(300 * 4, dtype=np.uint8).reshape(300, 2, 2, 1)
    labels = np.arange(300, dtype=np.int32) % 3
    found = evaluate.dataset.Images(images, labels, ("",) * 300)
    monkeypatch.setattr(evaluate.dataset, "load", lambda *_: found)

    def model(batch, training):
        assert not training
        flat = batch.reshape(len(batch), 4)[:, :3]
        return [flat, -flat]

    class Config:
        class model:
            size = 2

    said = evaluate.predict(model, Config, Layout(tmp_path), "test")
    expected = images.reshape(300, 4)[:, :3] / np.float32(255)
    np.testing.assert_array_equal(said.logits, [expected, -expected])
    np.testing.assert_array_equal(said.labels, labels)
