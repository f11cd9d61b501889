"""Builds a choice of resolutions: a router picks the size an image is seen at.

Zhu et al., "Dynamic Resolution Network", NeurIPS 2021, arXiv 2106.02898. A
small router looks at the image at a low resolution and chooses which of
several networks, each for a size of its own, sees it. So one network runs, not
one after the other as in `size_cascade`; but the router knows only what so
small a network can see.

Two things differ. The authors' networks share their convolutions in training;
here each has its own, as each is a model of its own on a device. And their
choice is hard in training, with Gumbel noise; here it is a clamp with noise
(`keras_dynamic.layers.Gate`), whose cost the objective `cost_target` counts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_dynamic.models.blocks import arguments, choice
from keras_dynamic.models.size_cascade import built, called, resized

_ROUTER = {
    "family": "vgg",
    "stem_width": 8,
    "widths": (16, 32),
    "depths": (1, 1),
    "exits": (1,),
}
_BACKBONE = {"family": "vgg", "exits": (2,), "residual": (2,)}


def resolution_choice(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    sizes: Sequence[int] = (16, 24, 32),
    backbone: Mapping[str, Any] = _BACKBONE,
    router: Mapping[str, Any] = _ROUTER,
    router_size: int = 16,
    temperature: float = 0.5,
    noise: Sequence[float] | None = (0.5, 0.2),
    annealing_steps: int = 0,
    weights: str | None = None,
    name: str = "resolution_choice",
) -> keras.Model:
    """Builds a choice of resolutions as a functional model with one exit.

    Layers of network k are named `size{k}_...`, those of the router
    `router_...`; `branch{k}_gate` is open where network k is chosen, and
    `beyond{k}_gate` where one behind it is.

    The default is that of `resolution_choice_cifar10`.

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; the exit gives logits [batch, classes].
        sizes: Height and width that each network sees, in pixels, growing.
        backbone: What the networks are, as in `size_cascade`: each has one
            exit.
        router: What the router is, likewise.
        router_size: Height and width that the router sees, in pixels.
        temperature: Difference of two logits of the router from surely no to
            surely yes, as in `keras_dynamic.layers.Preference`.
        noise: Standard deviation of the gates' noise in training, at first and
            at last; None for no noise.
        annealing_steps: Steps of training in which the deviation falls,
            linearly; with 0 it is the last one from the start.
        weights: What each network starts from, as the family's argument of
            that name says; None for weights at random. The router's are.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not as said.
    """
    arguments.require_positive_integers_per("network", sizes=tuple(sizes))
    arguments.require_positive_integers(router_size=router_size)
    if list(sizes) != sorted({*sizes}) or len(sizes) < 2:
        raise ValueError(
            "`sizes` must be two or more, and grow from network to network. "
            f"Received: {sizes!r}"
        )
    image = keras.Input(shape=input_shape, name="image")

    def branch(argument, given, size, outputs, prefix, weights=None):
        seen = resized(image, size, f"{prefix}_resize")
        network = built(argument, given, seen.shape[1:], outputs, weights)
        if len(network.outputs) != 1:
            raise ValueError(
                f"`{argument}` must have one exit. "
                f"Received: {given!r} with {len(network.outputs)}"
            )
        [logits] = called(network, seen, prefix, None)
        return logits

    needed = choice.logits_needed(len(sizes))
    routed = branch("router", router, router_size, needed, "router")
    found = [
        branch("backbone", backbone, size, classes, f"size{k}", weights)
        for k, size in enumerate(sizes)
    ]
    chosen = choice.choice(
        routed,
        found,
        exit=0,
        temperature=temperature,
        noise=noise,
        annealing_steps=annealing_steps,
    )
    return keras.Model(image, chosen, name=name)
