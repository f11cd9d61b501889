"""Trains the float model, epoch by epoch, and survives being killed."""

import time
from collections.abc import Mapping, Sequence

import keras
import ml_collections

from pipeline.config import training_stages
from pipeline.processes.group import Member
from pipeline.results.layout import Layout
from pipeline.results.predictions import Predictions
from pipeline.training import data_parallel
from pipeline.training.callbacks import Board, Callback, Rows
from pipeline.training.epochs import Epoch
from pipeline.training.training_run import Trained, TrainingRun


def train(
    config: ml_collections.ConfigDict,
    layout: Layout,
    callbacks: Sequence[Callback] = (),
) -> Trained | None:
    """Trains the model of `config` on the prepared data.

    It goes through the stages of `config.train`, one after another.

    After every epoch, and every `train.checkpoint_steps` within one, the whole
    state is written, so a run that was killed is started again with the same
    command and ends with the same weights. The trained model is
    `layout.float_model`, in float32 whatever the precision it was trained in.

    Several processes (`pipeline.processes.group`) train as one would, each on
    its part of every batch; the first one writes all files.

    Args:
        config: The whole configuration.
        layout: Paths, with the prepared data.
        callbacks: Objects that look on, beside the terminal and TensorBoard.

    Returns:
        The trained model and its history; None in a process that is not the
        first.

    Raises:
        ValueError: If the configuration does not fit the data or the
            processes, or the loss is no longer finite.
    """
    keras.utils.set_random_seed(config.seed)
    member = _joined(config)
    if keras.backend.backend() == "tensorflow":
        from pipeline.training import tensorflow_settings

        tensorflow_settings.apply(config.train.core_per_operation_up_to)
    run = TrainingRun(config, layout, member)
    run.resume()
    if not member.writes:
        callbacks = ()
    else:
        callbacks = (Rows(), Board(layout.logs), *callbacks)
    shown = None
    while run.goes_on():
        if callbacks and run.progress.stage != shown:
            shown = run.progress.stage
            pixels = run.first_batch()
            for each in callbacks:
                each.began(run.progress.epoch, pixels)
        begun = time.monotonic()
        taught = run.epoch()
        said = run.validate()
        scalars = _scalars(taught, said, run.learning_rate())
        stage = run.progress.stage + 1
        if run.stages() > 1:
            scalars["train/stage"] = stage
        run.note(scalars)
        ended = Epoch(
            number=run.progress.epoch,
            count=run.epochs(),
            loss=taught["loss"],
            train=[taught[name] for name in taught if "acc" in name],
            validation=said.accuracies(),
            seconds=time.monotonic() - begun,
            stage=stage,
            stages=run.stages(),
        )
        for each in callbacks:
            each.epoch_ended(ended, scalars)
        run.save()
    data_parallel.leave()
    if not member.writes:
        return None
    for each in callbacks:
        each.ended()
    return run.publish()


def _joined(config) -> Member:
    """Joins the processes that train together, if there are others."""
    stages = training_stages.of(config)
    member = data_parallel.join(stages[0].train.batch_size)
    if member.count > 1 and len(stages) > 1:
        raise ValueError(
            "`train.stages` must be at most one where several processes train. "
            f"Received: {len(stages)} stages and {member.count} processes"
        )
    if member.count > 1 and stages[0].train.average_decay:
        raise ValueError(
            "`train.average_decay` must be 0 where several processes train: "
            "the statistics of averaged weights are taken in one. Received: "
            f"average_decay={stages[0].train.average_decay} and {member.count} "
            "processes"
        )
    return member


def _scalars(taught: Mapping[str, float], said: Predictions, rate: float):
    """Names the measurements of an epoch as TensorBoard shows them.

    The part before the first slash is the run, as `events` says.
    """
    return {
        **{
            f"train/{name.replace('accuracy_', 'accuracy/exit_')}": value
            for name, value in taught.items()
        },
        "train/learning_rate": rate,
        # Not the objective's, so that objectives compare.
        "validation/loss": sum(said.cross_entropies()),
        **{
            f"validation/accuracy/exit_{k}": accuracy
            for k, accuracy in enumerate(said.accuracies())
        },
    }
