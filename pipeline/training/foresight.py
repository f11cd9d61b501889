"""Checks what a training needs before its images are prepared.

Preparing takes minutes to hours, and most of what can be wrong with a model the
configuration alone tells.
"""

import ml_collections

from keras_dynamic.models import check_exits
from pipeline import sources
from pipeline.config import training_stages
from pipeline.training import initial_weights, network, stage_checks


def seen(config: ml_collections.ConfigDict) -> tuple[int, int]:
    """Returns the number of classes, and about how many images there are.

    Args:
        config: The whole configuration; its source is listed.

    Raises:
        ValueError: If the source cannot be read.
    """
    found = sources.build(
        config.data.source, **config.data.source_options
    ).find()
    return len(found.labels), found.images


def check(config: ml_collections.ConfigDict) -> None:
    """Builds the model of every stage of the training, with its weights.

    Args:
        config: The whole configuration.

    Raises:
        ValueError: If a model cannot be built or read, a stage cannot be
            carried out, or the objective does not fit the model.
    """
    labels, images = seen(config)
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
    stage_checks.check(config, labels, images)
