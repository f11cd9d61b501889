"""Fine-tunes the float model: quantization-aware training."""

import itertools

import keras
import ml_collections
import numpy as np
import tf_keras
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
from tflite.quantization import bridge, fake_quantization, ranges

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
    settings = config.quantize
    metrics_file.read(layout.metrics)
    memory = config.memory_gib * 2**30
    keras.utils.set_random_seed(config.seed)
    tensorflow_settings.apply(config.train.core_per_operation_up_to)
    images = dataset.open_split(layout.data, "train", memory=memory)
    objective = network.objective(config)
    labels = len(manifest.read(layout.data)["labels"])
    heartbeat.say("inserting the ranges of int8 into the network")
    plain = network.build(config, labels, weights=False)
    # As it was trained: the saved model lacks what only the loss looks at.
    extended = objective.extend(plain)
    transfer.copy_weights(
        trained_model.load(layout.float_model, config), extended.model.layers
    )
    model = bridge.to_tf_keras(extended.model)
    quantized = fake_quantization.insert(model)
    seen = [
        pixels
        for pixels, _ in itertools.islice(
            batches.in_order(
                images,
                batch_size=settings.batch_size,
                size=config.model.size,
            ),
            settings.range_batches,
        )
    ]
    heartbeat.say(
        f"finding the ranges of activations and weights on {len(seen)} batches"
    )
    fake_quantization.initialise_ranges(quantized, model, seen)
    fake_quantization.settle_weight_ranges(quantized, seen[0])
    losses = fake_quantization.fine_tune(
        fake_quantization.with_gradients(quantized, extended.model),
        _batches(config, images),
        extended.loss,
        objective.taught,
        learning_rate=settings.learning_rate,
        steps=settings.steps,
    )
    heartbeat.say(
        "tracing the step of fine-tuning: the first one takes far longer "
        "than the others"
    )
    events = Events(layout.logs)
    recent = []
    losses = terminal.bar(losses, settings.steps, "quantization-aware")
    for step, loss in enumerate(losses, start=1):
        recent.append(loss)
        if step % _LOG_EVERY == 0 or step == settings.steps:
            mean = float(np.mean(recent))
            logging.info("step %d/%d  loss %.3f", step, settings.steps, mean)
            # Not "loss": a step is a batch here, and an epoch there.
            shown = {"quantize_loss": mean, **_ranges(quantized)}
            events.scalars("quantize", step, shown)
            recent.clear()
    events.close()
    heartbeat.note("running the quantized model over the test images")
    deployed = tf_keras.Model(
        quantized.inputs, quantized.outputs[: len(plain.outputs)]
    )
    said = trained_model.predict(
        deployed, layout.data, "test", size=config.model.size, memory=memory
    )
    accuracies = said.accuracies()
    trained_model.log_accuracies("qat", accuracies)
    with publishing.published(layout.qat_model, own_files.QAT_MODEL) as stage:
        fake_quantization.save(deployed, stage)
        predictions.save(stage / layout.qat_predictions.name, test=said)
    noted = metrics_file.exit_rows("qat", accuracy=accuracies)
    return stage_results.keep(layout, "quantize", {"exits": noted})


def _ranges(quantized):
    """Returns the ends of every activation range, as TensorBoard shows them."""
    scalars = {}
    for name, each in ranges.of(quantized).items():
        scalars[f"ranges/{name}/low"] = float(each.low)
        scalars[f"ranges/{name}/high"] = float(each.high)
    return scalars


def _batches(config, images):
    """Yields batches epoch after epoch, augmented as in the float training."""
    change = augmentation.get(
        config.train.augmentation,
        size=config.model.size,
        **config.train.augmentation_options,
    )
    # Other batches than those of the float training.
    order = batches.Order(
        len(images), config.quantize.batch_size, config.seed + 1
    )
    for epoch in itertools.count():
        yield from batches.shuffled(
            images, order, epoch=epoch, augmentation=change
        )
