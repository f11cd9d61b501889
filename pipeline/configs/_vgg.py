"""What the VGG experiments share: sizes, and a recipe for few epochs.

The recipe is what the fast trainings on CIFAR-10 have in common (Page, "How to
Train Your ResNet"; Jordan, arXiv 2404.00498): a high learning rate that rises
and then falls linearly to zero, Nesterov's momentum, decay of kernels alone,
smoothed labels, averaged weights, alternating mirroring, shifts by two pixels.
"""

import ml_collections

from pipeline.configs import _datasets

_STEM, _WIDTHS, _DEPTHS = 16, (32, 128, 256), (2, 2, 3)


def cifar(classes: int) -> ml_collections.ConfigDict:
    """The network with an exit after each of its three blocks."""
    config = _cifar(classes, 1.0, f"vgg_cifar{classes}")
    with config.unlocked():
        # In few epochs equal weights cost the last exit most, and weights by
        # cost ("cost") the first one: between the two.
        config.train.objective_arguments = ml_collections.ConfigDict(
            {"weights": (0.4, 0.7, 1.0)}
        )
    return config


def static_cifar(classes: int, width: float) -> ml_collections.ConfigDict:
    """The same network with its last exit alone, at a share of its width."""
    name = f"vgg_cifar{classes}_static_w{round(100 * width):03}"
    config = _cifar(classes, width, name)
    config.model.arguments.exits = (len(_WIDTHS) - 1,)
    return config


def _cifar(classes, width, name):
    config = _datasets.cifar(
        classes,
        family="vgg",
        arguments={
            "stem_width": _scaled(_STEM, width),
            "widths": tuple(_scaled(each, width) for each in _WIDTHS),
            "depths": _DEPTHS,
            "residual": (len(_DEPTHS) - 1,),
            "exits": tuple(range(len(_DEPTHS))),
        },
        name=name,
    )
    return train_briefly(config)


def _scaled(channels, width):
    # Processors compute on several channels at once.
    return 4 * round(channels * width / 4)


def train_briefly(
    config: ml_collections.ConfigDict,
) -> ml_collections.ConfigDict:
    """Sets the recipe, for 30 epochs and images that may be mirrored."""
    with config.unlocked():
        config.train.epochs = 30
        config.train.batch_size = 128
        config.train.learning_rate = 0.15
        config.train.schedule = "linear"
        config.train.nesterov = True
        config.train.weight_decay = 5e-4
        config.train.weight_decay_on = "kernels"
        config.train.label_smoothing = 0.1
        config.train.average_decay = 0.998
        config.train.augmentation_options = ml_collections.ConfigDict(
            {"padding": 2, "fill": "reflect", "flip": "alternating"}
        )
        # The rate ends at zero, and the weights are averaged.
        config.train.select = "last"
    return config
