"""Makes gradients of shared layers the mean, not the sum, over the exits.

Li et al., "Improved Techniques for Training Adaptive Deep Networks", ICCV 2019,
arXiv 1908.06294, section 3.1, as in the authors' code. BoostNet (arXiv
2211.16726, equation 7) uses this rule as well.
"""

import collections

import keras

from keras_dynamic.graph import functional
from keras_dynamic.layers import GradientScale


def gradient_equilibrium(model: keras.Model) -> keras.Model:
    """Rescales the gradients at the features that enter the classifiers.

    With N exits, the gradient into the classifier of exit i (from 0) is
    multiplied by 1 / (N - i); the gradient from all others that read that
    feature by (N - i - 1) / (N - i). Where every exit's loss passes through the
    features of the exits before it, the gradient of block i is then the plain
    mean over the N - i exits that depend on it. Forward nothing changes.

    In an MSDNet this is the coarsest scale of a block; the finer ones pass
    their gradients on as they are, as in the authors' code. RANet's boosted
    variant in the code of BoostNet has no rescaling; ours applies the same rule
    at the features that enter its exits, although what later sub-networks fuse
    goes past some of them. It is no objective: it goes with any of them.

    Args:
        model: Functional, one output per exit, its layers named as in
            `keras_dynamic.models`.

    Returns:
        A model of the same layers, and so weights, with some `GradientScale`.

    Raises:
        ValueError: If an output is not that of a classifier named `exit_k`, or
            a feature comes from a layer that is called more than once.
    """
    exits = len(model.outputs)
    readers = collections.defaultdict(list)  # exits by the feature's layer
    for exit, output in enumerate(model.outputs):
        name = functional.producer(output).operation.name
        if functional.exit_of(name) != exit:
            raise ValueError(
                "`model` must have outputs of layers named `exit_0`, `exit_1` "
                f"and so on. Received: output {exit} of layer {name!r}"
            )
        feature = functional.exit_feature(output, exit)
        readers[functional.producer(feature).operation.name].append(exit)
    called = set()
    reads = {}  # by a feature's id: what is read instead, per exit

    def call(layer, *args, **kwargs):
        def read(tensor):
            choice = reads.get(id(tensor), {None: tensor})
            return choice.get(functional.exit_of(layer.name), choice[None])

        output = layer(*keras.tree.map_structure(read, args), **kwargs)
        if layer.name in readers:
            if layer.name in called:
                raise ValueError(
                    "`model` must call the layers that give the exits' "
                    f"features once. Received: {layer.name!r}, called twice"
                )
            called.add(layer.name)
            reads[id(output)] = _scaled(output, readers[layer.name], exits)
        return output

    return keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=call
    )


def _scaled(feature, readers, exits):
    """Returns the feature by the exit that reads it; under None for others."""
    reads = {}
    for exit in readers:
        left = exits - exit
        if left > 1:
            name = f"exit_{exit}_gradient"
            feature = GradientScale(1 / left, name=name)(feature)
        reads[exit] = feature
        if left > 1:
            name = f"exit_{exit}_gradient_onward"
            feature = GradientScale(left - 1, name=name)(feature)
    return reads | {None: feature}
