"""Cuts a block's weights for the groups of channels that it is cut into."""

import collections
import re

import keras
import numpy as np

# As `keras_dynamic.models.lcnet` names the layers of a group.
_NAME = re.compile(r"(?P<block>.+)_group(?P<group>\d+)_(?P<layer>.+)")


def copy_slices(
    source: keras.Model, model: keras.Model
) -> list[keras.layers.Layer]:
    """Gives the groups of a network's blocks the uncut blocks' weights.

    Each takes its slice of the channels. Behind the last convolution of a
    block there is then one normalization per group instead of one for their
    sum. They share its mean and variance equally, as if the groups' maps were
    independent; so the sum of the groups is the block's map outside of
    training. In it, each is normalized by what the batch shows of it.

    Args:
        source: A network without groups, with the same layer names otherwise.
        model: The network with groups (`lcnet`, channels="groups").

    Returns:
        The layers that have been given weights; none where names or shapes do
        not fit.
    """
    theirs = {layer.name: layer.get_weights() for layer in source.layers}
    uncut = collections.defaultdict(dict)
    for layer in model.layers:
        if layer.weights and (found := _NAME.fullmatch(layer.name)):
            whole = f"{found['block']}_{found['layer']}"
            uncut[whole][int(found["group"])] = layer
    copied = []
    for whole, groups in uncut.items():
        for group, layer in sorted(groups.items()):
            given = theirs.get(whole, [])
            shapes = [weight.shape for weight in layer.weights]
            weights = _slices(given, shapes, group, len(groups))
            if [each.shape for each in weights] != shapes:
                continue
            if isinstance(layer, keras.layers.BatchNormalization) and (
                [each.shape for each in given] == shapes
            ):
                weights = _shared(weights, layer.epsilon, len(groups))
            layer.set_weights(weights)
            copied.append(layer)
    return copied


def _slices(weights, shapes, group, groups):
    """Cuts from each array the group's part, on the axis that is too long."""
    found = []
    for weight, shape in zip(weights, shapes, strict=False):
        for axis, length in enumerate(shape):
            if weight.ndim == len(shape) and (
                weight.shape[axis] == groups * length
            ):
                weight = np.split(weight, groups, axis)[group]
        found.append(weight)
    return found


def _shared(weights, epsilon, groups):
    """Returns a normalization of which `groups` together do what one does."""
    gamma, beta, mean, variance = weights
    ratio = (variance / groups + epsilon) / (variance + epsilon)
    return [
        gamma * np.sqrt(ratio),
        beta / groups,
        mean / groups,
        variance / groups,
    ]
