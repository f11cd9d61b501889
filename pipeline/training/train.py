"""Trains the float model, epoch by epoch, and survives being killed."""

import dataclasses
import functools
import time

import keras
import ml_collections
import numpy as np
from absl import logging

from keras_dynamic.training import coupled_sgd, schedules
from keras_dynamic.training.trainer import MultiExitTrainer, deployed
from pipeline.data import (
    augmentation,
    batches,
    dataset,
    manifest,
)
from pipeline.processes import terminal
from pipeline.results.layout import Layout
from pipeline.results.versions import VERSIONS
from pipeline.storage import fingerprint, publishing
from pipeline.training import (
    averaging,
    checkpoint,
    data_parallel,
    epochs,
    initial_weights,
    network,
    passes,
)
from pipeline.training.events import Events

_EXAMPLES = 16  # Images that TensorBoard shows, as the model sees them.


def train(config: ml_collections.ConfigDict, layout: Layout) -> None:
    """Trains the model of `config` on the prepared data.

    After every epoch, and every `train.checkpoint_steps` within one, the whole
    state is written, so a run that was killed is started again with the same
    command and ends with the same weights. The trained model is
    `layout.float_model`, in float32 whatever the precision it was trained in.

    Several processes (`pipeline.processes.group`) train as one would, each on
    its part of every batch; the first one writes all files.

    Raises:
        ValueError: If the configuration does not fit the data or the
            processes, or the loss is no longer finite.
    """
    keras.utils.set_random_seed(config.seed)
    member = data_parallel.join(config.train.batch_size)
    if member.count > 1 and config.train.average_decay:
        raise ValueError(
            "`train.average_decay` must be 0 where several processes train: "
            "the statistics of averaged weights are taken in one. Received: "
            f"average_decay={config.train.average_decay} and {member.count} "
            "processes"
        )
    if keras.backend.backend() == "tensorflow":
        from pipeline.training import tensorflow_settings

        tensorflow_settings.apply(config.train.core_per_operation_up_to)
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

    order = batches.Order(
        len(images),
        config.train.batch_size // member.count,
        config.seed,
        member.number,
        member.count,
    )
    steps = len(order)
    objective = network.objective(config)
    trainer = _trainer(config, objective, labels, steps)
    model = trainer.model
    shipped = keras.Model(
        model.inputs, data_parallel.gathered(model.outputs[: trainer.exits])
    )
    shipped.jit_compile = trainer.jit_compile

    settings = config.train.to_dict()
    portion = settings.pop("checkpoint_steps") or steps  # Changes no weight.
    made_from = fingerprint.of(
        VERSIONS["train"],
        config.model.to_dict(),
        settings,
        fingerprint.of_files(
            {
                **config.train.objective_arguments,
                "initial_weights": config.train.initial_weights,
            }
        ),
        config.seed,
        data,
    )
    state = layout.training / "state.npz"
    best = layout.training / "best.npz"
    found = fingerprint.of_files({"state": str(state)})
    data_parallel.check_equal("workdir", fingerprint.of(made_from, found))
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
    first, count = progress.epoch, config.train.epochs
    read = functools.partial(
        batches.shuffled, images, order, augmentation=change
    )

    def following():
        """The first batches of the next epoch."""
        return read(epoch=progress.epoch, stop=averaging.BATCHES)

    if member.writes:
        events = Events(layout.logs)
        [(pixels, _)] = read(epoch=first, stop=1)
        events.images("train", first, "images", pixels[:_EXAMPLES])
    for epoch in range(first, count):
        begun = time.monotonic()
        for start in range(progress.step, steps, portion):
            stop = min(start + portion, steps)
            part = terminal.bar(
                read(epoch=epoch, start=start, stop=stop),
                steps,
                f"epoch {epoch + 1}/{count}",
                done=start,
            )
            means = passes.train(trainer, part, stop - start)
            progress = _advanced(progress, stop, means)
            if stop < steps and member.writes:
                checkpoint.save(state, progress, model, trainer.optimizer)
        taught = {name: total / steps for name, total in progress.sums.items()}
        progress = dataclasses.replace(
            progress, epoch=epoch + 1, step=0, sums={}
        )
        with averaging.averaged(trainer, following()):
            said = passes.predict(
                shipped, validation, config.model.size, member
            )
            accuracy = said.accuracies()
            # Of equal ones the later: the last exit may be frozen.
            better = accuracy[-1] >= progress.best_accuracy
            if better and member.writes:
                checkpoint.save_weights(best, model)
        if better:
            progress = dataclasses.replace(
                progress, best_epoch=epoch + 1, best_accuracy=accuracy[-1]
            )
        if member.writes:
            ended = epochs.Epoch(
                number=epoch + 1,
                count=count,
                loss=taught["loss"],
                train=[taught[name] for name in taught if "acc" in name],
                validation=accuracy,
                seconds=time.monotonic() - begun,
            )
            epochs.say(ended, first=epoch == first)
            rate = trainer.optimizer.learning_rate
            taught["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
            for run, values in _scalars(taught, said).items():
                events.scalars(run, epoch + 1, values)
            checkpoint.save(state, progress, model, trainer.optimizer)
    data_parallel.leave()
    if not member.writes:
        return
    events.close()

    final = objective.extend(network.build(config, labels)).model
    if config.train.select == "best":
        checkpoint.restore_weights(best, final)
        logging.info("kept the weights of epoch %d", progress.best_epoch)
    else:
        with averaging.averaged(trainer, following()):
            final.set_weights(model.get_weights())
    with publishing.published(layout.float_model) as stage:
        deployed(final, trainer.exits).save(stage)


def _trainer(config, objective, labels, steps):
    """The compiled model, of the precision that it is trained in."""
    keras.config.set_dtype_policy(config.train.precision)
    try:
        model = network.build(config, labels)
    finally:
        keras.config.set_dtype_policy("float32")
    if config.train.initial_weights:
        initial_weights.load(config.train.initial_weights, model)
    trainer = MultiExitTrainer(model, objective)
    optimizer = coupled_sgd.CoupledSGD(
        learning_rate=learning_rate(config, steps),
        momentum=config.train.momentum,
        coupled_decay=config.train.weight_decay,
        nesterov=config.train.nesterov,
        decay_vectors=config.train.weight_decay_on == "all",
        average_decay=config.train.average_decay,
    )
    # Compiling hundreds of small layers takes XLA minutes and gains nothing
    # on a CPU. JAX has no other way.
    compiled = keras.backend.backend() == "jax"
    trainer.compile(optimizer=optimizer, jit_compile=compiled)
    optimizer.build(trainer.trainable_variables)
    return trainer


def learning_rate(config: ml_collections.ConfigDict, steps: int):
    """The learning rate of every step, `steps` of them in an epoch.

    "step" multiplies by 0.1 at each milestone, as the papers do; "cosine"
    falls to zero along half a cosine (Loshchilov and Hutter, arXiv 1608.03983,
    without restarts); "linear" rises first, and then falls to zero.
    """
    total = max(1, steps * config.train.epochs)
    rate = config.train.learning_rate
    if config.train.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(rate, total)
    if config.train.schedule == "linear":
        rise = int(total * config.train.rise)
        return schedules.LinearRamp(rate, total, rise)
    boundaries = [round(total * share) for share in config.train.milestones]
    rates = [rate * 0.1**i for i in range(len(boundaries) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)


def _advanced(progress, step, means):
    """The progress after a portion of an epoch, up to `step`."""
    loss = means["loss"]
    if not np.isfinite(loss):
        raise ValueError(
            "The loss must stay finite; lower `train.learning_rate`. "
            f"Received: loss={loss} in epoch {progress.epoch + 1}"
        )
    sums = {
        name: progress.sums.get(name, 0.0) + mean * (step - progress.step)
        for name, mean in means.items()
    }
    return dataclasses.replace(progress, step=step, sums=sums)


def _scalars(taught, said):
    """What TensorBoard shows of an epoch, by run and by name."""
    shown = {
        name.replace("accuracy_", "accuracy/exit_"): value
        for name, value in taught.items()
    }
    # The validation loss is not the objective's, so that objectives compare.
    validation = {"loss": sum(said.cross_entropies())} | {
        f"accuracy/exit_{k}": accuracy
        for k, accuracy in enumerate(said.accuracies())
    }
    return {"train": shown, "validation": validation}
