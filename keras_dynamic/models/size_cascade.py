"""Builds a cascade of sizes: one network after another, on larger images.

Every exit is a network of its own, which sees the image at a size of its own;
an image that the small one is sure of never gets to the large one. Nothing is
shared, so any static network serves, with trained weights, too, and each exit
is as good as that network alone. It costs what the smaller ones took in vain.
Wang et al., "Resolution Adaptive Networks", CVPR 2020, arXiv 2003.07326, share
features between the sizes instead (`ranet`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_dynamic.graph import functional, inlining
from keras_dynamic.layers import BilinearResize
from keras_dynamic.models.applications import applications
from keras_dynamic.models.blocks import arguments
from keras_dynamic.models.efficientnet_lite import efficientnet_lite
from keras_dynamic.models.mobilenet_v2 import mobilenet_v2
from keras_dynamic.models.mobilenet_v3 import mobilenet_v3
from keras_dynamic.models.msdnet import msdnet
from keras_dynamic.models.resnet import resnet
from keras_dynamic.models.vgg import vgg

BACKBONES: Mapping[str, Callable[..., keras.Model]] = {
    "applications": applications,
    "efficientnet_lite": efficientnet_lite,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "msdnet": msdnet,
    "resnet": resnet,
    "vgg": vgg,
}
_BACKBONE = {"family": "vgg", "exits": (2,), "residual": (2,)}


def size_cascade(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    sizes: Sequence[int] = (20, 32),
    backbone: Mapping[str, Any] = _BACKBONE,
    weights: str | None = None,
    name: str = "size_cascade",
) -> keras.Model:
    """Builds a cascade of sizes as a functional model.

    Its exits are those of the networks, one network after the other; a network
    that has several exits gives all of them. Layers of network k are named
    `size{k}_...`, but those of the classifiers `exit_k...`.

    The default is that of `size_cascade_cifar10`.

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; every exit gives logits [batch, classes].
        sizes: Height and width that each network sees, in pixels, growing. An
            image of another size is resized bilinearly, without antialiasing:
            less than half of the input's pixels a side lets some go unseen.
        backbone: What the networks are: a "family", one of `BACKBONES`, and
            arguments of that family but `input_shape`, `classes` and `weights`.
        weights: What each network starts from, as the family's argument of
            that name says; None for weights at random.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not as said.
    """
    arguments.require_positive_integers_per("network", sizes=tuple(sizes))
    if list(sizes) != sorted({*sizes}):
        raise ValueError(
            f"`sizes` must grow from network to network. Received: {sizes!r}"
        )
    image = keras.Input(shape=input_shape, name="image")
    outputs: list[Any] = []
    for index, size in enumerate(sizes):
        prefix = f"size{index}"
        seen = resized(image, size, f"{prefix}_resize")
        network = built("backbone", backbone, seen.shape[1:], classes, weights)
        outputs += called(network, seen, prefix, len(outputs))
    return keras.Model(image, outputs, name=name)


def resized(image: Any, size: int, name: str) -> Any:
    """Returns a symbolic image at a size, itself if it has that already."""
    if tuple(image.shape[1:3]) == (size, size):
        return image
    return BilinearResize(size, size, name=name)(image)


def built(
    argument: str,
    given: Mapping[str, Any],
    input_shape: Sequence[int],
    classes: int,
    weights: str | None,
) -> keras.Model:
    """Builds a network of a family in `BACKBONES`.

    Args:
        argument: Name of the argument that `given` is, for an error.
        given: The family, and arguments of it.
        input_shape: Height, width and channels of its input.
        classes: Number of classes.
        weights: What it starts from; None for weights at random.

    Raises:
        ValueError: If there is no such family, or an argument does not fit.
    """
    builder, settings = arguments.backbone(argument, given, BACKBONES)
    own: dict[str, Any] = {"input_shape": input_shape, "classes": classes}
    if weights is not None:
        own["weights"] = weights
    arguments.require_arguments_of(builder, argument, given, **own)
    return builder(**own, **settings)


def called(
    network: keras.Model, image: Any, prefix: str, first: int | None
) -> list[Any]:
    """Calls a network's layers under names of their own, with its weights.

    Args:
        network: Its exits are the layers `exit_0`, ...
        image: Symbolic tensor that it sees.
        prefix: What the names of its layers begin with, but for its exits'.
        first: Number of its first exit; None if they are none of the whole's,
            and have the prefix as well.

    Returns:
        The logits of its exits.
    """
    instead = {}
    for path, layer in inlining.layers_by_path(network).items():
        if isinstance(layer, keras.layers.InputLayer):
            continue
        exit = functional.exit_of(layer.name)
        if exit is None or first is None:
            new = f"{prefix}_{path.replace('/', '_')}"
        else:
            new = layer.name.replace(f"exit_{exit}", f"exit_{first + exit}", 1)
        instead[path] = inlining.renamed(layer, new)
    return list(inlining.inlined(network, [image], instead).outputs)
