"""Quantizes the float model by a method, and fine-tunes it where it trains."""

import functools
import itertools
from collections.abc import Iterator

import keras
import ml_collections
import numpy as np
from absl import logging

from keras_dynamic.weights import transfer
from pipeline.config import training_stages
from pipeline.data import (
    augmentation,
    batches,
    dataset,
    manifest,
)
from pipeline.processes import heartbeat, terminal
from pipeline.quantization.resuming import Resuming
from pipeline.results import (
    metrics_file,
    own_files,
    predictions,
    stage_results,
)
from pipeline.results.layout import Layout
from pipeline.results.stage_results import Results
from pipeline.storage import publishing
from pipeline.training import network, tensorflow_settings, trained_model
from pipeline.training.events import Events
from tflite.quantization import methods
from tflite.quantization.methods.method import Quantized, Task

_LOG_EVERY = 100


def quantize(config: ml_collections.ConfigDict, layout: Layout) -> Results:
    """Fine-tunes the model with fake quantization, and saves its graph.

    Returns:
        The accuracy of every exit.

    Raises:
        ValueError: If the float model was not evaluated, or is damaged.
    """
    # As in the last stage of the training: the same objective and images.
    config = training_stages.of(config)[-1]
    metrics_file.read(layout.metrics)
    memory = config.memory_gib * 2**30
    keras.utils.set_random_seed(config.seed)
    tensorflow_settings.apply(config.train.core_per_operation_up_to)
    images = dataset.open_split(layout.data, "train", memory=memory)
    heartbeat.say("inserting the ranges of int8 into the network")
    quantized = methods.get(config.quantize.method)(
        task_of(config, layout, images)
    )
    kept = Resuming(config, layout)
    if quantized.trains:
        _fine_tune(quantized, config, images, kept, Events(layout.logs))
    heartbeat.note("running the quantized model over the test images")
    deployed = quantized.deployed()
    said = trained_model.predict(
        deployed, layout.data, "test", size=config.model.size, memory=memory
    )
    accuracies = said.accuracies()
    trained_model.log_accuracies("qat", accuracies)
    with publishing.published(layout.qat_model, own_files.QAT_MODEL) as stage:
        quantized.save(stage)
        predictions.save(stage / layout.qat_predictions.name, test=said)
    kept.forget()
    noted = metrics_file.exit_rows("qat", accuracy=accuracies)
    return stage_results.keep(layout, "quantize", {"exits": noted})


def task_of(
    config: ml_collections.ConfigDict, layout: Layout, images: dataset.Split
) -> Task:
    """Returns the trained model, as its objective extends it, and images.

    Args:
        config: The configuration.
        layout: Paths of the prepared data and the trained model.
        images: The images that ranges are taken from.

    Raises:
        ValueError: If the float model is damaged.
    """
    objective = network.objective(config)
    labels = len(manifest.read(layout.data)["labels"])
    plain = network.build(config, labels, weights=False)
    # As it was trained: the saved model lacks what only the loss looks at.
    extended = objective.extend(plain)
    transfer.copy_weights(
        trained_model.load(layout.float_model, config), extended.model.layers
    )
    seen = itertools.islice(
        batches.in_order(
            images,
            batch_size=config.quantize.batch_size,
            size=config.model.size,
        ),
        config.quantize.range_batches,
    )
    return Task(
        model=extended.model,
        exits=len(plain.outputs),
        images=[pixels for pixels, _ in seen],
        objective=objective,
        loss=extended.loss,
        keep_float=config.quantize.keep_float,
    )


def _fine_tune(
    quantized: Quantized,
    config: ml_collections.ConfigDict,
    images: dataset.Split,
    kept: Resuming,
    events: Events,
) -> None:
    """Takes the steps of `config.quantize`, from where a run was killed."""
    settings = config.quantize
    losses = quantized.fine_tune(
        functools.partial(tuning_batches, config, images),
        learning_rate=settings.learning_rate,
        steps=settings.steps,
        checkpoints=kept,
    )
    heartbeat.say(
        "tracing the step of fine-tuning: the first one takes far longer "
        "than the others"
    )
    recent = []
    losses = terminal.bar(
        losses, settings.steps, "quantization-aware", done=kept.taken
    )
    for step, loss in enumerate(losses, start=kept.taken + 1):
        recent.append(loss)
        if step % _LOG_EVERY == 0 or step == settings.steps:
            mean = float(np.mean(recent))
            logging.info("step %d/%d  loss %.3f", step, settings.steps, mean)
            # Not "loss": a step is a batch here, and an epoch there.
            shown = {"quantize_loss": mean, **_ranges(quantized)}
            events.scalars("quantize", step, shown)
            recent.clear()
    events.close()


def _ranges(quantized: Quantized) -> dict[str, float]:
    """Returns the ends of every activation range, as TensorBoard shows them."""
    scalars = {}
    for name, (low, high) in quantized.ranges().items():
        scalars[f"ranges/{name}/low"] = low
        scalars[f"ranges/{name}/high"] = high
    return scalars


def tuning_batches(
    config: ml_collections.ConfigDict, images: dataset.Split, start: int
) -> Iterator[batches.Batch]:
    """Yields batches from a step on, augmented as in the float training."""
    change = augmentation.get(
        config.train.augmentation,
        size=config.model.size,
        **config.train.augmentation_options,
    )
    # Other batches than those of the float training.
    order = batches.Order(
        len(images), config.quantize.batch_size, config.seed + 1
    )
    epoch, position = divmod(start, len(order))
    for number in itertools.count(epoch):
        yield from batches.shuffled(
            images, order, epoch=number, augmentation=change, start=position
        )
        position = 0
