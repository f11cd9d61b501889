"""Takes a trained Keras 3 model to one int8 TFLite model, in one call."""

import dataclasses
import itertools
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_dynamic import objectives
from tflite.quantization import conversion, methods
from tflite.quantization.methods.method import Quantized, Task

Batch = np.ndarray | tuple[np.ndarray, np.ndarray]


def quantize(
    model: keras.Model,
    batches: Iterable[Batch],
    steps: int = 0,
    *,
    method: str = methods.DEFAULT,
    learning_rate: float = 1e-3,
    range_batches: int = 16,
    keep_float: Collection[str] = (),
) -> bytes:
    """Quantizes a model to int8, with every exit in one TFLite file.

    Fine-tuning takes the sum of the exits' cross-entropies, as the objective
    `joint` does; the stage `quantize` of the pipeline takes any.

    Args:
        model: Functional model with one output of logits [batch, classes] per
            exit, of layers that docs/quantization.md lists; for the method
            "ptq" any model that can be called. It is not changed.
        batches: Images float32 [batch, height, width, channels] in [0, 1], or
            pairs of those and labels, integers [batch]. They are gone through
            as often as `steps` needs; an iterator once.
        steps: Batches of fine-tuning with fake quantization; 0 quantizes the
            weights as they are.
        method: A name of `tflite.quantization.methods.NAMES`.
        learning_rate: That of the first step; it falls to zero along a cosine.
        range_batches: Number of first batches that the activation ranges are
            taken from.
        keep_float: Names of layers without a form in int8 that stay float, by
            the methods "keras" and "ptq".

    Returns:
        The .tflite file. Its input is int8, pixel - 128; its outputs are int8
        logits, `exit_0`, `exit_1` and so on. `tflite.split` cuts it.

    Raises:
        ValueError: If there is no such method, or it takes no steps; if
            `batches` are fewer than `steps`, have no labels where there are
            steps, or are not in [0, 1]; if the loss is no longer finite.
        UnsupportedLayerError: If a layer cannot be quantized.
        int8_only.NotInt8Error: If an operator works on floats all the same.
    """
    prepare = methods.get(method)
    stream = iter(batches)
    first = list(itertools.islice(stream, range_batches))
    if not first:
        raise ValueError("`batches` must not be empty. Received: none")
    task = Task(
        model=model,
        exits=len(getattr(model, "outputs", ())),
        images=[_images(batch) for batch in first],
        keep_float=keep_float,
    )
    if steps:
        objective = objectives.build("joint")
        extended = objective.extend(model)
        task = dataclasses.replace(
            task,
            model=extended.model,
            objective=objective,
            loss=extended.loss,
        )
    quantized = prepare(task)
    if steps:
        again = () if stream is batches else itertools.repeat(batches)
        labelled = map(
            _labelled, itertools.chain(first, stream, _in_turn(again))
        )
        _fine_tune(quantized, labelled, learning_rate, steps)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "quantized")
        quantized.save(path)
        return conversion.convert(path, keep_float)


def _fine_tune(
    quantized: Quantized,
    batches: Iterable[tuple[np.ndarray, Any]],
    learning_rate: float,
    steps: int,
) -> None:
    losses = quantized.fine_tune(
        lambda start: itertools.islice(batches, start, None),
        learning_rate=learning_rate,
        steps=steps,
    )
    taken = sum(1 for _ in losses)
    if taken < steps:
        raise ValueError(
            f"`batches` must be {steps} or more, as many as `steps`, where "
            f"they are an iterator. Received: {taken}"
        )


def _in_turn(iterables: Iterable[Iterable[Batch]]) -> Iterator[Batch]:
    return itertools.chain.from_iterable(iterables)


def _images(batch: Batch) -> np.ndarray:
    images = np.asarray(batch[0] if isinstance(batch, tuple) else batch)
    if images.dtype != np.float32 or images.ndim != 4 or images.max() > 1:
        raise ValueError(
            "`batches` must hold images float32 [batch, height, width, "
            "channels] in [0, 1]. "
            f"Received: {images.dtype} {list(images.shape)} up to "
            f"{images.max()}"
        )
    return images


def _labelled(batch: Batch) -> tuple[np.ndarray, Any]:
    if not isinstance(batch, tuple):
        raise ValueError(
            "`batches` must be pairs of images and labels where there are "
            "`steps`. Received: images alone"
        )
    return _images(batch), batch[1]
