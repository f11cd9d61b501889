"""Makes passes of a model over images in numpy, by Keras's own compiled steps.

On TensorFlow `fit` and `predict` would put an iterator behind tf.data's
generator, which sets glibc's trim threshold back and so undoes
`pipeline.processes.memory`. There, the steps are called one by one. Elsewhere
`fit` and `predict` do it: on JAX they keep the state out of the variables from
step to step, which saves an assignment per variable and step.

Every batch of a pass has the same shape, so each graph is traced once.
"""

from collections.abc import Iterable

import keras
import numpy as np

from pipeline.data import batches
from pipeline.data.dataset import Split
from pipeline.processes.group import ALONE, Member
from pipeline.results.predictions import Predictions
from pipeline.training.features import Features

_BATCH = 256  # Of predictions.


def train(
    trainer: keras.Model, steps: Iterable[batches.Batch], count: int
) -> dict[str, float]:
    """Trains a compiled model on some batches.

    Args:
        trainer: The model.
        steps: Batches of equal size.
        count: Number of batches.

    Returns:
        The means of the loss and of the metrics over these batches.
    """
    if keras.backend.backend() != "tensorflow":
        # Keras must know the number of steps: it would begin another one to
        # find the end, and count it.
        history = trainer.fit(
            steps, steps_per_epoch=count, shuffle=False, verbose=0
        ).history
        return {name: values[0] for name, values in history.items()}
    trainer.make_train_function()
    trainer.reset_metrics()
    for batch in steps:
        means = trainer.train_function(iter([batch]))
    return {name: float(value) for name, value in means.items()}


def predict(
    model: keras.Model,
    images: Split | Features,
    size: int,
    member: Member = ALONE,
) -> Predictions:
    """Runs a model with one or more exits, of either Keras, over a split.

    Args:
        model: The model.
        images: Images that `dataset.open_split` returned; or features of them,
            of which the model is the rest.
        size: Height and width of the model's input.
        member: This one of the processes that do it together. Every one of
            them gets all predictions, if the outputs are
            `data_parallel.gathered`.
    """
    if isinstance(images, Features):
        return _predict_features(model, images)
    share = -(-min(_BATCH, len(images)) // member.count)
    padded = (
        (_padded(pixels, share),)
        for pixels, _ in batches.in_order(
            images,
            batch_size=share,
            size=size,
            worker=member.number,
            workers=member.count,
        )
    )
    steps = -(-len(images) // (share * member.count))
    logits = _logits(model, padded, steps)
    return Predictions(images.labels, logits[:, : len(images)])


def _predict_features(model: keras.Model, features: Features) -> Predictions:
    """Runs the rest of a model over the first view of each image."""
    count = len(features)
    share = min(_BATCH, count)
    starts = range(0, count, share)
    # A list in a tuple: all inputs of one batch.
    padded = (
        (
            [
                _padded(each, share)
                for each in features.take(slice(at, at + share), 0)
            ],
        )
        for at in starts
    )
    logits = _logits(model, padded, len(starts))
    return Predictions(features.labels, logits[:, :count])


def _logits(model, padded, steps) -> np.ndarray:
    if keras.backend.backend() == "tensorflow":
        parts = [_exits(model.predict_on_batch(*batch)) for batch in padded]
        return np.concatenate(parts, axis=1)
    return _exits(model.predict(padded, steps=steps, verbose=0))


def _padded(pixels: np.ndarray, count: int) -> np.ndarray:
    room = count - len(pixels)
    return np.pad(pixels, [(0, room)] + [(0, 0)] * (pixels.ndim - 1))


def _exits(outputs) -> np.ndarray:
    """Stacks the exits, float32 [K, B, C]; mixed precision gives others."""
    if not isinstance(outputs, list | tuple):
        outputs = [outputs]
    return np.stack([np.asarray(each, np.float32) for each in outputs])
