"""Compares the layers of the int8 and the float model of an experiment."""

import ml_collections

from pipeline.data import augmentation, dataset
from pipeline.results.layout import Layout
from pipeline.training import trained_model
from tflite.diagnosis.layer_error import LayerError
from tflite.diagnosis.layer_errors import layer_errors

_IMAGES = 16


def errors(
    config: ml_collections.ConfigDict, layout: Layout
) -> list[LayerError]:
    """Returns the error of every layer on a few calibration images.

    Raises:
        ValueError: If the float model is missing or another one.
    """
    images = dataset.open_split(
        layout.data, "calibration", memory=0, verify=False
    )
    few = images.take(list(range(min(_IMAGES, len(images)))))
    pixels = augmentation.center_crop(few, config.model.size)
    model = layout.tflite_model.read_bytes()
    trained = trained_model.load(layout.float_model, config)
    return layer_errors(model, trained, pixels)
