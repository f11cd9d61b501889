"""Checks what a training needs before its images are prepared.

Preparing takes minutes to hours, and most of what can be wrong with a model the
configuration alone tells.
"""

import ml_collections

from keras_dynamic.models import check_exits
from pipeline import sources
from pipeline.config import training_stages
from pipeline.sources import item
from pipeline.training import (
    initial_weights,
    network,
    outlook,
    stage_checks,
)


def seen(config: ml_collections.ConfigDict) -> item.Found:
    """Returns what the source of the images holds.

    Args:
        config: The whole configuration.

    Raises:
        ValueError: If the source cannot be read.
    """
    source = sources.build(config.data.source, **config.data.source_options)
    return source.find()


def check(config: ml_collections.ConfigDict) -> None:
    """Builds the model of every stage of the training, with its weights.

    Args:
        config: The whole configuration.

    Raises:
        ValueError: If a model cannot be built or read, a stage cannot be
            carried out, or the objective does not fit the model.
    """
    found = seen(config)
    labels = len(found.labels)
    first, *_ = training_stages.of(config)
    plain = network.build(first, labels, weights=True)
    # Of int8 the stage that quantizes has its own check.
    check_exits.check_exits(plain, deploy=False)
    if config.train.initial_weights:
        initial_weights.load(config.train.initial_weights, plain)
    try:
        network.objective(first).extend(plain)
    except ValueError as error:
        raise ValueError(f"`train.objective`: {error}") from error
    stage_checks.check(config, labels, found.images, found.unlabelled)
    # Of all images, and of all weights: what is frozen or held out takes less.
    size = first.train.batch_size
    steps = -(-found.images // size)
    outlook.say({"about": found.images}, steps, size, plain)
