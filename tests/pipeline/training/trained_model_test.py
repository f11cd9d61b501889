import subprocess
import sys

import keras
import numpy as np
import pytest
import tf_keras

from keras_dynamic.layers import BilinearResize
from pipeline.results.layout import Layout
from pipeline.training import trained_model
from tests.support import prepared_data, two_exits


def test_a_model_with_our_layers_loads_in_a_new_process(tmp_path):
    inputs = keras.Input((4, 4, 1))
    layout = Layout(tmp_path)
    layout.float_model.parent.mkdir()
    keras.Model(inputs, BilinearResize(2, 2)(inputs)).save(layout.float_model)
    # Nothing that imports the layers comes before.
    code = (
        "import pathlib, sys; from pipeline.training import trained_model;"
        "from pipeline.results import layout;"
        "found = layout.Layout(pathlib.Path(sys.argv[1]));"
        "print(trained_model.load(found.float_model).output_shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "(None, 2, 2, 1)"


@pytest.mark.parametrize("kind", [keras, tf_keras])
@pytest.mark.parametrize("memory", [0, 2**30])
def test_predict_gives_every_exit_of_every_image(layout, kind, memory):
    pixels, labels = prepared_data.images(300, side=6, channels=1)
    model = two_exits.network(kind)
    if kind is keras:
        model.jit_compile = False
    said = trained_model.predict(
        model, layout.data, "test", size=6, memory=memory
    )
    expected = model(pixels.astype(np.float32) / 255, training=False)
    assert said.logits.shape == (2, 300, 3)
    np.testing.assert_allclose(said.logits, np.stack(expected), atol=1e-6)
    np.testing.assert_array_equal(said.labels, labels)


def test_predict_with_one_exit(layout):
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.Flatten()(inputs)[:, :3])
    model.jit_compile = False
    said = trained_model.predict(
        model, layout.data, "test", size=4, memory=2**30
    )
    pixels, _ = prepared_data.images(300, side=6, channels=1)
    expected = pixels[:, 1:5, 1:5].reshape(300, 16)[:, :3] / np.float32(255)
    np.testing.assert_array_equal(said.logits, [expected])
