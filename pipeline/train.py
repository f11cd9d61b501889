"""Trains the float model, epoch by epoch, and survives being killed."""

import dataclasses
import functools
import math
import time

import keras
import ml_collections
import numpy as np
from absl import logging
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.scalar import summary_v2
from tensorboard.summary.writer import event_file_writer

from keras_dynamic import objectives, sgd, training
from pipeline import (
    augmentation,
    batches,
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
_BATCH = 256  # Of validation.


def train(config: ml_collections.ConfigDict, layout: Layout) -> None:
    """Trains the model of `config` on the prepared data.

    After every epoch, and every `train.checkpoint_steps` within one, the whole
    state is written, so a run that was killed is started again with the same
    command and ends with the same weights. The trained model is
    `layout.float_model`, in float32 whatever the precision it was trained in.

    Raises:
        ValueError: If the configuration does not fit the data, or the loss
            is no longer finite.
    """
    _check(config)
    keras.utils.set_random_seed(config.seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # The same weights again, to the bit, after a kill.
        tf.config.experimental.enable_op_determinism()
    data = manifest.read(layout.data)
    if empty := [split for split, n in data["counts"].items() if not n]:
        raise ValueError(
            "Every split must have images before training starts; set "
            "`data.fractions` and prepare again. "
            f"Received: none in {', '.join(empty)}"
        )
    memory = config.memory_gib * 2**30
    images, validation = (
        dataset.open_split(layout.data, split, memory=memory)
        for split in ("train", "validation")
    )
    labels = len(data["labels"])

    keras.config.set_dtype_policy(config.train.precision)
    try:
        model = network.build(config, labels)
    finally:
        keras.config.set_dtype_policy("float32")
    order = batches.Order(len(images), config.train.batch_size, config.seed)
    steps = len(order)
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
    # on a CPU. JAX has no other way.
    compiled = keras.backend.backend() == "jax"
    trainer.compile(optimizer=optimizer, jit_compile=compiled)
    optimizer.build(trainer.trainable_variables)

    settings = config.train.to_dict()
    portion = settings.pop("checkpoint_steps") or steps  # Changes no weight.
    made_from = fingerprint.of(
        config.model.to_dict(), settings, config.seed, data
    )
    state = layout.training / "state.npz"
    best = layout.training / "best.npz"
    progress = checkpoint.restore(state, made_from, model, trainer.optimizer)
    if progress.epoch or progress.step:
        logging.info(
            "going on after epoch %d, step %d", progress.epoch, progress.step
        )
    change = augmentation.get(
        config.train.augmentation,
        size=config.model.size,
        **config.train.augmentation_options,
    )
    writer = event_file_writer.EventFileWriter(str(layout.logs))
    for epoch in range(progress.epoch, config.train.epochs):
        begun = time.monotonic()
        read = functools.partial(
            batches.shuffled, images, order, epoch=epoch, augmentation=change
        )
        for start in range(progress.step, steps, portion):
            stop = min(start + portion, steps)
            # Keras must know the number of steps: it would begin another one
            # to find the end, and count it.
            history = trainer.fit(
                read(start=start, stop=stop),
                steps_per_epoch=stop - start,
                shuffle=False,
                verbose=0,
            ).history
            progress = _advanced(progress, stop, history)
            if stop < steps:
                checkpoint.save(state, progress, model, trainer.optimizer)
        taught = {name: total / steps for name, total in progress.sums.items()}
        scores = trainer.evaluate(
            batches.in_order(
                validation, batch_size=_BATCH, size=config.model.size
            ),
            steps=math.ceil(len(validation) / _BATCH),
            verbose=0,
            return_dict=True,
        )
        exits = range(len(model.outputs))
        accuracy = [scores[f"accuracy_{k}"] for k in exits]
        _log(config, epoch, taught, accuracy, time.monotonic() - begun)
        _write_summary(writer, epoch, taught, scores)
        progress = dataclasses.replace(
            progress, epoch=epoch + 1, step=0, sums={}
        )
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
    for name, least in (("epochs", 1), ("checkpoint_steps", 0)):
        if config.train[name] < least:
            raise ValueError(
                f"`train.{name}` must be at least {least}. "
                f"Received: {name}={config.train[name]}"
            )


def _advanced(progress, step, history):
    """The progress after a portion of an epoch, up to `step`."""
    loss = history["loss"][0]
    if not np.isfinite(loss):
        raise ValueError(
            "The loss must stay finite; lower `train.learning_rate`. "
            f"Received: loss={loss} in epoch {progress.epoch + 1}"
        )
    sums = {
        name: progress.sums.get(name, 0.0) + values[0] * (step - progress.step)
        for name, values in history.items()
    }
    return dataclasses.replace(progress, step=step, sums=sums)


def _log(config, epoch, taught, accuracy, seconds):
    shares = [value for name, value in taught.items() if "acc" in name]
    logging.info(
        "epoch %d/%d  loss %.3f  train %s  validation %s  %.1f s",
        epoch + 1,
        config.train.epochs,
        taught["loss"],
        " ".join(f"{100 * a:.1f}" for a in shares),
        " ".join(f"{100 * a:.1f}" for a in accuracy),
        seconds,
    )


def _write_summary(writer, epoch, taught, scores):
    for part, values in (("train", taught), ("validation", scores)):
        for name, value in values.items():
            summary = summary_v2.scalar_pb(f"{part}/{name}", value)
            writer.add_event(
                event_pb2.Event(
                    wall_time=time.time(), step=epoch + 1, summary=summary
                )
            )
    writer.flush()
