"""Checks all stages of a training before the first step of the first."""

import ml_collections

from keras_dynamic.training import freezing, optimizers
from pipeline.config import training_stages
from pipeline.data import augmentation
from pipeline.training import network, stage_run


def check(
    config: ml_collections.ConfigDict,
    labels: int,
    images: int,
    unlabelled: int = 0,
) -> None:
    """Checks that each stage can be carried out.

    Args:
        config: The whole configuration.
        labels: Number of classes in the data.
        images: Number of images to train on.
        unlabelled: Number of them whose class is not known.

    Raises:
        ValueError: Naming the key, if an objective looks at labels that some
            images lack, a batch has more images than there are,
            an optimizer or an augmentation has other arguments, the model
            cannot have that size, the objective does not fit it, or nothing is
            named or left to train by `freeze`.
    """
    for number, stage in enumerate(training_stages.of(config)):

        def key(name: str, number=number) -> str:
            return training_stages.key(config, number, name)

        if unlabelled and network.objective(stage).labels:
            raise ValueError(
                f"`{key('objective')}` must be layer_caching, which looks at "
                f"no labels, for {unlabelled} of the images to train on have "
                f"none. Received: {stage.train.objective!r}"
            )
        if stage.train.batch_size > images:
            raise ValueError(
                f"`{key('batch_size')}` must be at most the {images} images "
                f"to train on. Received: {stage.train.batch_size}"
            )
        optimizers.build(
            optimizers.Optimization.of(stage.train),
            1,
            (key("optimizer"), key("optimizer_arguments")),
        )
        try:
            augmentation.get(
                stage.train.augmentation,
                size=stage.train.size or stage.model.size,
                **stage.train.augmentation_options,
            )
        except ValueError as error:
            raise ValueError(
                f"`{key('augmentation_options')}`: {error}"
            ) from error
        if stage.train.freeze or stage.train.size or number:
            _check_model(stage, labels, key)


def _check_model(stage, labels, key) -> None:
    """Builds the model of a stage, and checks what depends on it."""
    size = stage.train.size
    if size:
        # Whose faults are not those of the size.
        network.build(stage, labels, weights=False)
    try:
        model = stage_run.built(stage, labels)
    except (TypeError, ValueError) as error:
        if not size:
            raise
        raise ValueError(
            f"`{key('size')}` must be a size that {stage.model.family!r} "
            f"takes: {error}. Received: {size}"
        ) from error
    try:
        extended = network.objective(stage).extend(model).model
    except ValueError as error:
        raise ValueError(f"`{key('objective')}`: {error}") from error
    if stage.train.freeze:
        argument = key("freeze")
        layers = freezing.chosen(extended, stage.train.freeze, argument)
        freezing.freeze(extended, layers, argument)
