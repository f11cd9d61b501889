"""Trains exits on a frozen network that reuse earlier exits' predictions.

Wolczyk et al., "Zero Time Waste: Recycling Predictions in Early Exit Neural
Networks", NeurIPS 2021, arXiv 2106.05409, as in the authors' code.
"""

import os

import keras

from keras_dynamic.graph import functional
from keras_dynamic.layers import Bias, GradientScale, Multiple
from keras_dynamic.objectives.cross_entropy import cross_entropy
from keras_dynamic.objectives.objective import Extended, Objective
from keras_dynamic.weights import transfer
from keras_dynamic.weights.loading import trained_model


def zero_time_waste(
    backbone: keras.Model | str | os.PathLike | None = None,
) -> Objective:
    """Trains the early classifiers of a frozen backbone, and ensembles them.

    Backbone and last classifier are taken from a trained model and stay as
    they are, batch normalisation in inference mode. The other classifiers are
    trained, from new weights, with two additions:

    Cascade: the last dense layer of classifier m > 0 reads the logits of
    classifier m - 1 beside its own features; no gradient goes back there. On
    the device that is two dense layers and an addition, which equals one layer
    on both, but needs no common int8 scale for features and logits. The
    layer normalisation that the paper allows there is left out, since int8
    runtimes lack it.

    Ensemble: exit m predicts with a weighted geometric mean of the classifiers
    j = 0..m,

        log q_m = mean_j( exp(w_mj) * log p_j ) + b_m,

    normalised, with a scalar w_mj and one b_m per class. log p_j is the
    logits of classifier j minus a number that is the same for all classes;
    softmax removes such numbers, so the weighted mean of the logits plus b_m
    are logits of q_m, and those are deployed. The last exit is not ensembled.

    The loss is the mean cross-entropy of the classifiers plus that of the
    ensembles, which pass no gradient to the classifiers. The paper trains
    classifiers first and ensembles then; each has the same loss here, so both
    are trained at once, or one after another where a training freezes first
    the ensembles and then the classifiers. w starts at N(0, 0.01), as in the
    code, and b at 0.

    Args:
        backbone: A trained model, or the path of its .keras file, with the
            layers of the model by name, but for the early classifiers; None
            for the weights that the model itself has.

    Raises:
        ValueError: If there is no such backbone; by `extend`, if it does not
            fit the model, or the model has one exit only.
    """
    source = None
    if backbone is not None:
        source = trained_model("backbone", backbone)

    def loss(labels, outputs, taught=None):
        # m ensembles, the last exit, the m classifiers.
        early = len(outputs) // 2
        trained = [*outputs[:early], *outputs[early + 1 :]]
        total = sum(cross_entropy(labels, logits) for logits in trained)
        return total / early

    def extend(model: keras.Model) -> Extended:
        early = range(len(model.outputs) - 1)
        if not early:
            raise ValueError(
                "`model` must have more than one exit: the last one is not "
                "trained. Received: a model with 1"
            )
        kept = [
            layer
            for layer in model.layers
            if functional.exit_of(layer.name) not in early
        ]
        if source:
            _check_end(model, source)
            transfer.copy_weights(source, kept)
        for layer in kept:
            layer.trainable = False
        classifiers = _cascade(model.outputs[:-1])
        detached = [
            GradientScale(0, name=f"exit_{exit}_detach")(logits)
            for exit, logits in enumerate(classifiers)
        ]
        ensembles = [_ensemble(detached[: exit + 1]) for exit in early]
        trained = keras.Model(
            model.input,
            [*ensembles, model.outputs[-1], *classifiers],
            name=model.name,
        )
        return Extended(trained, loss)

    return Objective(extend)


def _check_end(model, source):
    """Raises ValueError unless both models end in a layer of one name."""
    last, theirs = (
        functional.producer(each.outputs[-1]).operation.name
        for each in (model, source)
    )
    if theirs != last:
        raise ValueError(
            f"`backbone` must end in the model's last layer, {last!r}. "
            f"Received: {theirs!r}"
        )


def _cascade(outputs):
    """Adds to each classifier's logits a dense layer on those before it."""
    classifiers = outputs[:1]
    for exit, logits in enumerate(outputs[1:], start=1):
        name = f"exit_{exit}_cascade"
        before = GradientScale(0, name=f"{name}_detach")(classifiers[-1])
        before = keras.layers.Dense(
            logits.shape[-1], use_bias=False, dtype="float32", name=name
        )(before)
        classifiers.append(
            keras.layers.Add(dtype="float32", name=f"{name}_add")(
                [logits, before]
            )
        )
    return classifiers


def _ensemble(classifiers):
    """Returns logits of classifiers' geometric mean, for the last's exit."""
    name = f"exit_{len(classifiers) - 1}_ensemble"
    # Its own classifier first, through which the exit's feature is found.
    terms = [
        Multiple(
            1 / len(classifiers),
            learned=True,
            dtype="float32",
            name=f"{name}_{exit}",
        )(logits)
        for exit, logits in reversed(list(enumerate(classifiers)))
    ]
    total = terms[0]
    # Two at a time: each sum has an int8 scale of its own.
    for count, term in enumerate(terms[1:], start=1):
        total = keras.layers.Add(dtype="float32", name=f"{name}_add_{count}")(
            [total, term]
        )
    return Bias(dtype="float32", name=name)(total)
