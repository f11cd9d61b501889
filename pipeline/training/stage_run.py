"""Carries out one stage of a training: its model, its batches, its passes."""

import copy
import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Mapping

import keras
import ml_collections
from absl import logging

from keras_dynamic.training import optimizers
from keras_dynamic.training.trainer import Trainer
from keras_dynamic.weights import transfer
from pipeline.data import augmentation, batches, views
from pipeline.data.dataset import Split
from pipeline.data.scaled import scaled
from pipeline.processes.group import Member
from pipeline.results.predictions import Predictions
from pipeline.results.versions import VERSIONS
from pipeline.storage import fingerprint
from pipeline.training import (
    averaging,
    data_parallel,
    features,
    initial_weights,
    network,
    passes,
)


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingData:
    """Holds what a training reads.

    Attributes:
        train: Images that are trained on.
        validation: Images of the validation split.
        manifest: The manifest of the data set.
    """

    train: Split
    validation: Split
    manifest: Mapping

    @property
    def labels(self) -> int:
        """Returns the number of classes."""
        return len(self.manifest["labels"])

    def at(self, size: int, wanted: int) -> "TrainingData":
        """Scales the images so that `size` pixels of them become `wanted`."""
        if size == wanted:
            return self
        side = max(wanted, round(self.manifest["size"] * wanted / size))
        return dataclasses.replace(
            self,
            train=scaled(self.train, side),
            validation=scaled(self.validation, side),
        )


class StageRun:
    """Holds a stage under way.

    Attributes:
        config: The configuration as it holds in this stage.
        steps: Steps of an epoch.
        objective: The objective.
        trainer: The model that is trained, with its optimizer.
    """

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        data: TrainingData,
        member: Member,
        directory: pathlib.Path,
        before: "StageRun | None" = None,
    ):
        """Builds the model, at random or with the weights of a stage before.

        Args:
            config: The configuration as it holds in this stage.
            data: The data.
            member: This one of the processes that train together.
            directory: Where features are kept.
            before: The stage before, if its weights are wanted.
        """
        self.config, self._member, self._directory = config, member, directory
        size = config.train.size or config.model.size
        self._data = data.at(config.model.size, size)
        self._size = size
        order = batches.Order(
            len(self._data.train),
            config.train.batch_size // member.count,
            config.seed,
            member.number,
            member.count,
        )
        self._order, self.steps = order, len(order)
        self._augmentation = augmentation.get(
            config.train.augmentation,
            size=size,
            **config.train.augmentation_options,
        )
        # The same numbers for new weights, whatever was built before.
        keras.utils.set_random_seed(config.seed)
        keras.config.set_dtype_policy(config.train.precision)
        try:
            self._plain = built(config, data.labels, weights=not before)
        finally:
            keras.config.set_dtype_policy("float32")
        if before:
            # By their order: a builder may count up the names of its layers.
            self._plain.set_weights(before._plain.get_weights())
        elif config.train.initial_weights:
            initial_weights.load(config.train.initial_weights, self._plain)
        self.objective = network.objective(config)
        optimizer = optimizers.build(
            optimizers.Optimization.of(config.train),
            self.steps * config.train.epochs,
        )
        self.trainer = Trainer(
            self._plain,
            self.objective,
            optimizer=optimizer,
            freeze=config.train.freeze,
        )
        if before:
            known = {id(layer) for layer in self._plain.layers}
            added = [x for x in self.trainer.model.layers if id(x) not in known]
            source = before.trainer.model
            transfer.copy_weights(source, transfer.fitting(source, added))
        optimizer.build(self.trainer.trainable_variables)

    @property
    def trained(self) -> keras.Model:
        """Returns the model, without what it begins with and is frozen."""
        split = self.trainer.split
        return split.rest if split else self.trainer.model

    def images(
        self, epoch: int, start: int = 0, stop: int | None = None
    ) -> Iterator[batches.Batch]:
        """Reads the augmented images of an epoch, or of a part of it."""
        return batches.shuffled(
            self._data.train,
            self._order,
            epoch=epoch,
            augmentation=self._augmentation,
            start=start,
            stop=stop,
        )

    def inputs(
        self, epoch: int, start: int = 0, stop: int | None = None
    ) -> Iterator:
        """Reads what the trainer takes of an epoch: images, or features."""
        if not self._features:
            return self.images(epoch, start, stop)
        kept, choose = self._features["train"], self._choice

        def make(indices, generator, part):
            view = choose(generator, part)
            return kept.take(indices, view), kept.labels[indices]

        return batches.drawn(
            make, self._order, epoch=epoch, start=start, stop=stop
        )

    def predict(self) -> Predictions:
        """Runs the exits over the validation split."""
        images = self._data.validation
        if self._features:
            images = self._features["validation"]
        return passes.predict(self._shipped, images, self._size, self._member)

    def averaged(self, epoch: int):
        """Averages weights over the first batches of an epoch."""
        following = ()
        if self.config.train.average_decay:
            following = self.inputs(epoch, stop=averaging.BATCHES)
        return averaging.averaged(self.trainer, following)

    @functools.cached_property
    def _shipped(self) -> keras.Model:
        """Builds the model without the outputs that only its loss looks at."""
        whole = self.trainer.model
        if self._features:
            whole = self.trainer.split.rest
        exits = whole.outputs[: self.trainer.exits]
        shipped = keras.Model(whole.inputs, data_parallel.gathered(exits))
        shipped.jit_compile = self.trainer.jit_compile
        return shipped

    @property
    def _choice(self) -> views.Choice:
        train = self.config.train
        return views.choice(train.augmentation, **train.augmentation_options)

    @functools.cached_property
    def _features(self) -> dict[str, features.Features] | None:
        """Holds features of the frozen layers, if they can be kept.

        They are computed when they are first wanted: only then a training that
        goes on has its weights.
        """
        split, train = self.trainer.split, self.config.train
        if not split or self._member.count > 1 or self.objective.teacher:
            return None
        prefix = split.prefix
        prefix.jit_compile = self.trainer.jit_compile
        count = views.count(train.augmentation)
        layers = len(prefix.layers)
        if not count:
            logging.info(
                "%d frozen layers run in every step: the augmentation %s shows "
                "images in countless ways, unlike none and flip",
                layers,
                train.augmentation,
            )
            return None
        splits = {
            "train": (self._data.train, count),
            "validation": (self._data.validation, 1),
        }
        seen = sum(len(images) * number for images, number in splits.values())
        wanted = features.size(prefix, seen) / 2**30
        there = min(train.feature_gib, features.room(self._directory) / 2**30)
        if wanted > there:
            logging.info(
                "%d frozen layers run in every step: their outputs would take "
                "%.2f GiB, and `train.feature_gib` and the disk allow %.2f",
                layers,
                wanted,
                there,
            )
            return None
        logging.info(
            "%d frozen layers run once: their outputs for %d images in %d "
            "views take %.2f GiB in %s",
            layers,
            len(self._data.train),
            count,
            wanted,
            self._directory,
        )
        key = fingerprint.of(
            VERSIONS["train"],
            self.config.model.to_dict(),
            train.precision,
            self._size,
            {name: number for name, (_, number) in splits.items()},
            [layer.name for layer in prefix.layers],
            fingerprint.of_arrays(prefix.get_weights()),
            dict(self._data.manifest),
        )
        return features.kept(
            self._directory, key, prefix, splits, size=self._size
        )


def built(
    config: ml_collections.ConfigDict,
    labels: int,
    size: int = 0,
    *,
    weights: bool = False,
) -> keras.Model:
    """Builds the untrained model of a stage, for images of its size.

    Args:
        config: The configuration as it holds in the stage.
        labels: Number of classes in the data.
        size: Height and width of the input; 0: those of the stage.
        weights: Whether published weights are read, if the model has some.
    """
    config = copy.deepcopy(config)
    with config.unlocked():
        config.model.size = size or config.train.size or config.model.size
    return network.build(config, labels, weights=weights)
