"""Carries out a training, epoch by epoch, from where it was killed."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence

import keras
import ml_collections
import numpy as np
from absl import logging

from keras_dynamic.training import coupled_sgd, schedules
from keras_dynamic.training.trainer import Trainer, deployed
from pipeline.data import augmentation, batches, dataset, manifest, overview
from pipeline.processes import heartbeat, terminal
from pipeline.processes.group import Member
from pipeline.results.layout import Layout
from pipeline.results.predictions import Predictions
from pipeline.results.versions import VERSIONS
from pipeline.storage import fingerprint, publishing
from pipeline.training import (
    averaging,
    checkpoint,
    data_parallel,
    initial_weights,
    named_files,
    network,
    passes,
)


@dataclasses.dataclass(frozen=True)
class Trained:
    """Holds the trained model and the history of a training.

    Attributes:
        model: The file of the trained model.
        history: Loss and accuracies after each epoch, in order, by the names
            that TensorBoard shows; epochs of killed runs are among them. Means
            over an epoch in which a run was killed differ in their last digits.
    """

    model: pathlib.Path
    history: Sequence[Mapping[str, float]]


class TrainingRun:
    """Holds a training under way.

    Attributes:
        progress: Progress of the training.
    """

    def __init__(self, config, layout: Layout, member: Member):
        """Opens the data and builds the model."""
        self._config, self._member = config, member
        self._compiled = False
        heartbeat.note("building the network")
        self._model_file = layout.float_model
        self._state = layout.training / "state.npz"
        self._best = layout.training / "best.npz"
        data = _complete(manifest.read(layout.data))
        for each in overview.tiny_splits(data, config.data.least):
            logging.warning("%s: %s", layout.data, each)
        self._labels = len(data["labels"])
        memory = config.memory_gib * 2**30
        images, self._validation = (
            dataset.open_split(layout.data, split, memory=memory)
            for split in ("train", "validation")
        )
        order = batches.Order(
            len(images),
            config.train.batch_size // member.count,
            config.seed,
            member.number,
            member.count,
        )
        self._steps = len(order)
        self._objective = network.objective(config)
        self._trainer = _trainer(
            config, self._objective, self._labels, self._steps
        )
        self._shipped = _shipped(self._trainer)
        self._read = functools.partial(
            batches.shuffled,
            images,
            order,
            augmentation=augmentation.get(
                config.train.augmentation,
                size=config.model.size,
                **config.train.augmentation_options,
            ),
        )
        self.progress = checkpoint.Progress(
            fingerprint=_made_from(config, data)
        )

    def resume(self) -> None:
        """Goes on where a run of the same training was killed, if one was."""
        made_from = self.progress.fingerprint
        found = fingerprint.of_files({"state": str(self._state)})
        data_parallel.check_equal("workdir", fingerprint.of(made_from, found))
        self.progress = checkpoint.restore(
            self._state, made_from, self._trainer.model, self._trainer.optimizer
        )
        if self.progress.epoch or self.progress.step:
            logging.info(
                "going on from the checkpoint %s: after epoch %d, step %d",
                self._state,
                self.progress.epoch,
                self.progress.step,
            )

    def first_batch(self) -> np.ndarray:
        """Reads the images that the next epoch begins with, [B, H, W, C]."""
        [(pixels, _)] = self._read(epoch=self.progress.epoch, stop=1)
        return pixels

    def epoch(self) -> dict[str, float]:
        """Trains for the rest of an epoch.

        Returns:
            The means of the loss and of each accuracy over all of it.
        """
        epoch, steps = self.progress.epoch, self._steps
        if not self._compiled and self._member.writes:
            heartbeat.say(
                "tracing and compiling the training step: the first step of "
                "a run takes far longer than the others"
            )
        self._compiled = True
        portion = self._config.train.checkpoint_steps or steps
        for start in range(self.progress.step, steps, portion):
            stop = min(start + portion, steps)
            part = terminal.bar(
                self._read(epoch=epoch, start=start, stop=stop),
                steps,
                f"epoch {epoch + 1}/{self._config.train.epochs}",
                done=start,
            )
            means = passes.train(self._trainer, part, stop - start)
            self.progress = _advanced(self.progress, stop, means)
            if stop < steps:
                self.save()
        sums = self.progress.sums
        self.progress = dataclasses.replace(
            self.progress, epoch=epoch + 1, step=0, sums={}
        )
        return {name: total / steps for name, total in sums.items()}

    def validate(self) -> Predictions:
        """Runs the validation split, and keeps the weights if none is better.

        Returns:
            The model's predictions.
        """
        heartbeat.note(f"validating after epoch {self.progress.epoch}")
        with self._averaged():
            said = passes.predict(
                self._shipped,
                self._validation,
                self._config.model.size,
                self._member,
            )
            last = said.accuracies()[-1]
            # Of equal ones the later: the last exit may be frozen.
            better = last >= self.progress.best_accuracy
            if better and self._member.writes:
                checkpoint.save_weights(self._best, self._trainer.model)
        if better:
            self.progress = dataclasses.replace(
                self.progress,
                best_epoch=self.progress.epoch,
                best_accuracy=last,
            )
        return said

    def learning_rate(self) -> float:
        """Returns the learning rate of the next step."""
        rate = self._trainer.optimizer.learning_rate
        return float(keras.ops.convert_to_numpy(rate))

    def note(self, scalars: Mapping[str, float]) -> None:
        """Adds the measurements of an epoch to the history."""
        history = [*self.progress.history, scalars]
        self.progress = dataclasses.replace(self.progress, history=history)

    def save(self) -> None:
        """Writes the state, if this process writes."""
        if self._member.writes:
            checkpoint.save(
                self._state,
                self.progress,
                self._trainer.model,
                self._trainer.optimizer,
            )

    def publish(self) -> Trained:
        """Writes the trained model, with the weights that are to be kept."""
        plain = network.build(self._config, self._labels, weights=False)
        final = self._objective.extend(plain).model
        if self._config.train.select == "best":
            checkpoint.restore_weights(self._best, final)
            logging.info(
                "kept the weights of epoch %d", self.progress.best_epoch
            )
        else:
            with self._averaged():
                final.set_weights(self._trainer.model.get_weights())
        with publishing.published(self._model_file) as stage:
            deployed(final, self._trainer.exits).save(stage)
        return Trained(self._model_file, tuple(self.progress.history))

    def _averaged(self):
        """Averages weights over the first batches of the next epoch."""
        following = self._read(
            epoch=self.progress.epoch, stop=averaging.BATCHES
        )
        return averaging.averaged(self._trainer, following)


def _complete(data: dict) -> dict:
    """Returns a manifest; raises ValueError if a split has no images."""
    if empty := [split for split, n in data["counts"].items() if not n]:
        raise ValueError(
            "Every split must have images before training starts; set "
            "`data.fractions` and prepare again. "
            f"Received: none in {', '.join(empty)}"
        )
    return data


def _made_from(config, data: dict) -> str:
    """Returns a hash of all that the weights depend on."""
    settings = config.train.to_dict()
    del settings["checkpoint_steps"]  # Changes no weight.
    return fingerprint.of(
        VERSIONS["train"],
        config.model.to_dict(),
        settings,
        named_files.hashes(config),
        config.seed,
        data,
    )


def _shipped(trainer: Trainer) -> keras.Model:
    """Builds the model without the outputs that only its loss looks at."""
    model = trainer.model
    shipped = keras.Model(
        model.inputs, data_parallel.gathered(model.outputs[: trainer.exits])
    )
    shipped.jit_compile = trainer.jit_compile
    return shipped


def _trainer(config, objective, labels, steps):
    """Compiles the model, of the precision that it is trained in."""
    keras.config.set_dtype_policy(config.train.precision)
    try:
        model = network.build(config, labels)
    finally:
        keras.config.set_dtype_policy("float32")
    if config.train.initial_weights:
        initial_weights.load(config.train.initial_weights, model)
    optimizer = coupled_sgd.CoupledSGD(
        learning_rate=learning_rate(config, steps),
        momentum=config.train.momentum,
        coupled_decay=config.train.weight_decay,
        nesterov=config.train.nesterov,
        decay_vectors=config.train.weight_decay_on == "all",
        average_decay=config.train.average_decay,
    )
    trainer = Trainer(model, objective, optimizer=optimizer)
    optimizer.build(trainer.trainable_variables)
    return trainer


def learning_rate(config: ml_collections.ConfigDict, steps: int):
    """Returns the learning rate of every step, `steps` of them in an epoch.

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
    """Returns the progress after a portion of an epoch, up to `step`."""
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
