"""Builds the model that a configuration describes, and its objective."""

import inspect

import keras
import ml_collections

from keras_dynamic import models, objectives
from keras_dynamic.models.blocks import importing


def build(
    config: ml_collections.ConfigDict, labels: int, *, weights: bool = True
) -> keras.Model:
    """Builds the model of `config.model`, as training begins with it.

    Its gradients are rescaled if `config.train.gradient_equilibrium` says so.

    Args:
        config: The whole configuration.
        labels: Number of classes in the data, or 0 if it is not known.
        weights: Whether published weights are read, where
            `model.arguments.weights` asks for them: not for the costs alone,
            nor for a model that gets others.

    Raises:
        ValueError: If the data has another number of classes than the model,
            or the model's arguments do not fit its family.
    """
    classes = config.model.classes or labels
    if not classes:
        raise ValueError(
            "`model.classes` must be positive where there is no data to count "
            f"them in. Received: classes={config.model.classes}"
        )
    if labels and labels != classes:
        raise ValueError(
            f"`model.classes` must be 0 or the {labels} classes of the data. "
            f"Received: classes={config.model.classes}"
        )
    size = config.model.size
    arguments = dict(
        config.model.arguments.to_dict(),
        input_shape=(size, size, config.data.channels),
        classes=classes,
    )
    if not weights and "weights" in arguments:
        arguments["weights"] = None
    try:
        builder = models.builder(config.model.family)
        inspect.signature(builder).bind(**arguments)
    except TypeError as error:
        raise ValueError(
            f"`model.arguments` do not fit {config.model.family!r}: {error}"
        ) from error
    model = models.build(config.model.family, **arguments)
    if config.train.gradient_equilibrium:
        model = objectives.gradient_equilibrium(model)
    return model


def custom_classes(config: ml_collections.ConfigDict) -> dict[str, type]:
    """Returns the layer classes of a user's that the model may have, by name.

    They are those that `model.arguments` of a `keras_file` names, or those of
    the module of a module:function.

    Raises:
        ValueError: If they are not where they are said to be.
    """
    family = config.model.family
    if importing.is_place(family):
        module = inspect.getmodule(importing.imported("model.family", family))
        return {
            name: each
            for name, each in vars(module).items()
            if isinstance(each, type) and issubclass(each, keras.layers.Layer)
        }
    if family == "keras_file":
        places = config.model.arguments.get("custom_objects", ())
        return importing.classes("custom_objects", places)
    return {}


def objective(config: ml_collections.ConfigDict) -> objectives.Objective:
    """Builds the objective of `config.train`, of training and fine-tuning.

    Raises:
        ValueError: If there is no such objective, or its arguments do not fit.
    """
    return objectives.label_smoothing(
        objectives.build(
            config.train.objective, **config.train.objective_arguments
        ),
        config.train.label_smoothing,
    )
