"""Carries out a training, epoch by epoch, from where it was killed."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from absl import logging

from keras_dynamic.training.trainer import deployed
from pipeline.config import training_stages
from pipeline.data import dataset, manifest, overview
from pipeline.processes import heartbeat, terminal
from pipeline.processes.group import Member
from pipeline.results.layout import Layout
from pipeline.results.predictions import Predictions
from pipeline.results.versions import VERSIONS
from pipeline.storage import fingerprint, publishing
from pipeline.training import (
    checkpoint,
    data_parallel,
    named_files,
    outlook,
    passes,
    stage_checks,
    stage_run,
)
from pipeline.training.stage_run import StageRun, TrainingData


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
        """Opens the data, and checks all stages."""
        self._config, self._layout, self._member = config, layout, member
        self._stages = training_stages.of(config)
        self._compiled = None
        heartbeat.note("building the network")
        self._state = layout.training / "state.npz"
        data = _complete(manifest.read(layout.data))
        for each in overview.tiny_splits(data, config.data.least):
            logging.warning("%s: %s", layout.data, each)
        memory = config.memory_gib * 2**30
        train, validation = (
            dataset.open_split(layout.data, split, memory=memory)
            for split in ("train", "validation")
        )
        self._data = TrainingData(train, validation, data)
        classes = self._data.labels
        unlabelled = int((train.labels == classes).sum())
        stage_checks.check(config, classes, len(train), unlabelled)
        self.progress = checkpoint.Progress(
            fingerprint=_made_from(config, data)
        )

    def resume(self) -> None:
        """Goes on where a run of the same training was killed, if one was."""
        made_from = self.progress.fingerprint
        found = fingerprint.of_files({"state": str(self._state)})
        data_parallel.check_equal("workdir", fingerprint.of(made_from, found))
        stage = checkpoint.stage(self._state, made_from)
        self._stage = self._begun(stage)
        trainer = self._stage.trainer
        self.progress = checkpoint.restore(
            self._state, made_from, trainer.model, trainer.optimizer
        )
        if self.progress.epoch or self.progress.step:
            logging.info(
                "going on from the checkpoint %s: after epoch %d, step %d",
                self._state,
                self.progress.epoch,
                self.progress.step,
            )

    def goes_on(self) -> bool:
        """Tells whether there is another epoch; begins the next stage for it.

        What has been done of a stage is never done again: one that was killed
        between two stages begins the second with the same weights.
        """
        while self._has_ended():
            number = self.progress.stage + 1
            if number == len(self._stages):
                return False
            self._settle()
            self._stage = self._begun(number, self._stage)
            self.progress = dataclasses.replace(
                self.progress,
                stage=number,
                stage_epoch=0,
                best_epoch=0,
                best_accuracy=-1.0,
                gain_epoch=0,
                gain_accuracy=-1.0,
            )
        return True

    def epochs(self) -> int:
        """Returns the number of all epochs, if no other stage ends early."""
        left = self._stages[self.progress.stage :]
        before = self.progress.epoch - self.progress.stage_epoch
        return before + sum(each.train.epochs for each in left)

    def stages(self) -> int:
        """Returns the number of stages."""
        return len(self._stages)

    def first_batch(self) -> np.ndarray:
        """Reads the images that the next epoch begins with, [B, H, W, C]."""
        [(pixels, _)] = self._stage.images(self.progress.epoch, stop=1)
        return pixels

    def epoch(self) -> dict[str, float]:
        """Trains for the rest of an epoch.

        Returns:
            The means of the loss and of each accuracy over all of it.
        """
        epoch, steps = self.progress.epoch, self._stage.steps
        if self._compiled is not self._stage and self._member.writes:
            heartbeat.say(
                "tracing and compiling the training step: the first step of "
                "a run takes far longer than the others"
            )
        self._compiled = self._stage
        portion = self._config.train.checkpoint_steps or steps
        for start in range(self.progress.step, steps, portion):
            stop = min(start + portion, steps)
            inputs = self._stage.inputs(epoch, start, stop)
            if not (self.progress.stage_epoch or start):
                inputs = outlook.timed(inputs, steps)
            part = terminal.bar(
                inputs,
                steps,
                f"epoch {epoch + 1}/{self.epochs()}",
                done=start,
            )
            means = passes.train(self._stage.trainer, part, stop - start)
            self.progress = _advanced(self.progress, stop, means)
            if stop < steps:
                self.save()
        sums = self.progress.sums
        self.progress = dataclasses.replace(
            self.progress,
            epoch=epoch + 1,
            stage_epoch=self.progress.stage_epoch + 1,
            step=0,
            sums={},
        )
        return {name: total / steps for name, total in sums.items()}

    def validate(self) -> Predictions:
        """Runs the validation split, and keeps the weights if none is better.

        Returns:
            The model's predictions.
        """
        with self._averaged():
            said = self._stage.predict()
            accuracies = said.accuracies()
            last = accuracies[-1]
            # Of equal ones the later: the last exit may be frozen.
            better = last >= self.progress.best_accuracy
            if better and self._member.writes:
                checkpoint.save_weights(self._best, self._stage.trainer.model)
        changes = {}
        if better:
            changes["best_epoch"] = self.progress.epoch
            changes["best_accuracy"] = last
        mean = float(np.mean(accuracies))
        if mean > self.progress.gain_accuracy:
            changes["gain_epoch"] = self.progress.stage_epoch
            changes["gain_accuracy"] = mean
        self.progress = dataclasses.replace(self.progress, **changes)
        return said

    def learning_rate(self) -> float:
        """Returns the learning rate of the next step."""
        rate = self._stage.trainer.optimizer.learning_rate
        return float(keras.ops.convert_to_numpy(rate))

    def note(self, scalars: Mapping[str, float]) -> None:
        """Adds the measurements of an epoch to the history."""
        history = [*self.progress.history, scalars]
        self.progress = dataclasses.replace(self.progress, history=history)

    def save(self) -> None:
        """Writes the state, if this process writes."""
        if self._member.writes:
            trainer = self._stage.trainer
            checkpoint.save(
                self._state, self.progress, trainer.model, trainer.optimizer
            )

    def publish(self) -> Trained:
        """Writes the trained model, with the weights that are to be kept."""
        stage = self._stage
        plain = stage_run.built(
            stage.config, self._data.labels, self._config.model.size
        )
        final = stage.objective.extend(plain).model
        if self._config.train.select == "best":
            checkpoint.restore_weights(self._best, final)
            logging.info(
                "kept the weights of epoch %d", self.progress.best_epoch
            )
        else:
            with self._averaged():
                final.set_weights(stage.trainer.model.get_weights())
        with publishing.published(self._layout.float_model) as path:
            deployed(final, stage.trainer.exits).save(path)
        return Trained(self._layout.float_model, tuple(self.progress.history))

    @property
    def _best(self) -> pathlib.Path:
        """Names the file of the best weights of the present stage."""
        number = self.progress.stage
        name = f"best_{number}.npz" if number else "best.npz"
        return self._layout.training / name

    def _begun(self, number: int, before: StageRun | None = None) -> StageRun:
        if len(self._stages) > 1:
            config = self._stages[number]
            logging.info(
                "stage %d of %d: %d epochs of %s%s",
                number + 1,
                len(self._stages),
                config.train.epochs,
                config.train.objective,
                f", frozen: {config.train.freeze}"
                if config.train.freeze
                else "",
            )
        stage = StageRun(
            self._stages[number],
            self._data,
            self._member,
            self._layout.training / "features",
            before,
        )
        if self._member.writes:
            counts = self._data.manifest["counts"]
            size = stage.config.train.batch_size
            outlook.say(counts, stage.steps, size, stage.trained)
        return stage

    def _has_ended(self) -> bool:
        """Tells whether the present stage has no more epochs."""
        train, progress = self._stage.config.train, self.progress
        if progress.step:
            return False
        if progress.stage_epoch >= train.epochs:
            return True
        without = progress.stage_epoch - progress.gain_epoch
        return bool(train.stop_after) and without >= train.stop_after

    def _settle(self) -> None:
        """Gives the model of the present stage the weights that are kept."""
        model = self._stage.trainer.model
        if self._config.train.select == "best":
            checkpoint.restore_weights(self._best, model)
            logging.info(
                "going on with the weights of epoch %d",
                self.progress.best_epoch,
            )
            return
        with self._averaged():
            values = model.get_weights()
        model.set_weights(values)

    def _averaged(self):
        """Averages weights over the first batches of the next epoch."""
        return self._stage.averaged(self.progress.epoch)


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
