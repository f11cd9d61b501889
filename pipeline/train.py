"""Trains the float model, epoch by epoch, and survives being killed."""

import dataclasses
import time

import keras
import ml_collections
import numpy as np
import tensorflow as tf
from absl import logging

from keras_dynamic import objectives, sgd, training
from pipeline import (
    augmentation,
    checkpoint,
    dataset,
    fingerprint,
    manifest,
    network,
    workdir,
)
from pipeline.layout import Layout

# Not mixed_float16, which would need its loss scaled.
_PRECISIONS = ("float32", "mixed_bfloat16")
_SELECTIONS = ("best", "last")


def train(config: ml_collections.ConfigDict, layout: Layout) -> None:
    """Trains the model of `config` on the prepared data.

    After every epoch the whole state is written, so a run that was killed is
    started again with the same command and ends with the same weights. The
    trained model is `layout.float_model`, in float32 whatever the precision
    it was trained in.

    Raises:
        ValueError: If the configuration does not fit the data, or the loss
            is no longer finite.
    """
    _check(config)
    keras.utils.set_random_seed(config.seed)
    if keras.backend.backend() == "tensorflow":
        # The same weights again, to the bit, after a kill.
        tf.config.experimental.enable_op_determinism()
    data = manifest.read(layout.data)
    if empty := [split for split, n in data["counts"].items() if not n]:
        raise ValueError(
            "Every split must have images before training starts; set "
            "`data.fractions` and prepare again. "
            f"Received: none in {', '.join(empty)}"
        )
    images = dataset.load(layout.data, "train")
    validation = dataset.load(layout.data, "validation")
    labels = len(data["labels"])

    keras.config.set_dtype_policy(config.train.precision)
    try:
        model = network.build(config, labels)
    finally:
        keras.config.set_dtype_policy("float32")
    steps = len(images.labels) // config.train.batch_size
    trainer = training.MultiExitTrainer(
        model,
        objectives.build(
            config.train.objective, **config.train.objective_arguments
        ),
    )
    optimizer = sgd.CoupledSGD(
        learning_rate=learning_rate(config, steps),
        momentum=config.train.momentum,
        coupled_decay=config.train.weight_decay,
    )
    # Compiling hundreds of small layers takes XLA minutes and gains nothing
    # on a CPU.
    trainer.compile(optimizer=optimizer, jit_compile=False)
    optimizer.build(trainer.trainable_variables)

    made_from = fingerprint.of(
        config.model.to_dict(), config.train.to_dict(), config.seed, data
    )
    state = layout.training / "state.npz"
    best = layout.training / "best.npz"
    progress = checkpoint.restore(state, made_from, model, trainer.optimizer)
    if progress.epoch:
        logging.info("going on after epoch %d", progress.epoch)
    change = augmentation.get(
        config.train.augmentation,
        size=config.model.size,
        **config.train.augmentation_options,
    )
    check_batches = _validation_batches(validation, config)
    writer = tf.summary.create_file_writer(str(layout.logs))
    for epoch in range(progress.epoch, config.train.epochs):
        start = time.monotonic()
        batches = dataset.batches(
            images.images,
            images.labels,
            batch_size=config.train.batch_size,
            seed=config.seed,
            epoch=epoch,
            augmentation=change,
        )
        history = trainer.fit(batches, shuffle=False, verbose=0).history
        scores = trainer.evaluate(check_batches, verbose=0, return_dict=True)
        loss = history["loss"][0]
        if not np.isfinite(loss):
            raise ValueError(
                "The loss must stay finite; lower `train.learning_rate`. "
                f"Received: loss={loss} in epoch {epoch + 1}"
            )
        exits = range(len(model.outputs))
        accuracy = [scores[f"accuracy_{k}"] for k in exits]
        _log(config, epoch, history, accuracy, time.monotonic() - start)
        _write_summary(writer, epoch, history, scores)
        progress = dataclasses.replace(progress, epoch=epoch + 1)
        if accuracy[-1] > progress.best_accuracy:
            progress = dataclasses.replace(
                progress, best_epoch=epoch + 1, best_accuracy=accuracy[-1]
            )
            checkpoint.save_weights(best, model)
        checkpoint.save(state, progress, model, trainer.optimizer)
    writer.close()

    if config.train.select == "best":
        checkpoint.restore_weights(best, model)
        logging.info("kept the weights of epoch %d", progress.best_epoch)
    final = network.build(config, labels)
    final.set_weights(model.get_weights())
    with workdir.published(layout.float_model) as stage:
        final.save(stage)


def learning_rate(config: ml_collections.ConfigDict, steps: int):
    """The learning rate of every step, `steps` of them in an epoch.

    "step" multiplies by 0.1 at each milestone, as the papers do; "cosine"
    falls to zero along half a cosine (Loshchilov and Hutter, arXiv 1608.03983,
    without restarts).
    """
    total = max(1, steps * config.train.epochs)
    rate = config.train.learning_rate
    if config.train.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(rate, total)
    boundaries = [round(total * share) for share in config.train.milestones]
    rates = [rate * 0.1**i for i in range(len(boundaries) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)


def _check(config):
    choices = {
        "schedule": ("step", "cosine"),
        "precision": _PRECISIONS,
        "select": _SELECTIONS,
    }
    for name, valid in choices.items():
        if config.train[name] not in valid:
            raise ValueError(
                f"`train.{name}` must be one of {', '.join(valid)}. "
                f"Received: {name}={config.train[name]!r}"
            )
    if config.train.epochs < 1:
        raise ValueError(
            "`train.epochs` must be at least 1. "
            f"Received: epochs={config.train.epochs}"
        )


def _validation_batches(validation, config):
    images = dataset.evaluation_batches(
        validation.images, batch_size=256, size=config.model.size
    )
    labels = tf.data.Dataset.from_tensor_slices(validation.labels).batch(256)
    return tf.data.Dataset.zip((images, labels))


def _log(config, epoch, history, accuracy, seconds):
    taught = [values[0] for name, values in history.items() if "acc" in name]
    logging.info(
        "epoch %d/%d  loss %.3f  train %s  validation %s  %.1f s",
        epoch + 1,
        config.train.epochs,
        history["loss"][0],
        " ".join(f"{100 * a:.1f}" for a in taught),
        " ".join(f"{100 * a:.1f}" for a in accuracy),
        seconds,
    )


def _write_summary(writer, epoch, history, scores):
    with writer.as_default(step=epoch + 1):
        for name, values in history.items():
            tf.summary.scalar(f"train/{name}", values[0])
        for name, value in scores.items():
            tf.summary.scalar(f"validation/{name}", value)
    writer.flush()
