"""Configures the VGG experiments: sizes, and a recipe for few epochs.

The recipe is what the fast trainings on CIFAR-10 have in common (Page, "How to
Train Your ResNet"; Jordan, arXiv 2404.00498): a high learning rate that rises
and then falls linearly to zero, Nesterov's momentum, decay of kernels alone,
smoothed labels, averaged weights, alternating mirroring, shifts by two pixels.
"""

import functools

import ml_collections

from pipeline.config.families import datasets
from pipeline.config.schema import default

_STEM, _WIDTHS, _DEPTHS = 16, (32, 128, 256), (2, 2, 3)


def cifar(classes: int) -> ml_collections.ConfigDict:
    """Configures the network with an exit after each of its three blocks."""
    heads = ((64, 128, 256), (128, 192), ())
    config = _cifar(classes, 1.0, head_widths=heads)
    # In few epochs equal weights cost the last exit most, and weights by cost
    # ("cost") the first one: between the two.
    config.train.objective_arguments = ml_collections.ConfigDict(
        {"weights": (0.7, 0.8, 1.0)}
    )
    return config


def static_cifar(classes: int, width: float) -> ml_collections.ConfigDict:
    """Configures the last exit of `cifar` alone, at a share of its width."""
    return _cifar(classes, width, exits=(len(_WIDTHS) - 1,))


def _cifar(classes, width, **arguments):
    config = datasets.cifar(
        classes,
        "vgg",
        {
            "stem_width": _scaled(_STEM, width),
            "widths": tuple(_scaled(each, width) for each in _WIDTHS),
            "depths": _DEPTHS,
            "residual": (len(_DEPTHS) - 1,),
            **arguments,
        },
    )
    return train_briefly(config)


def _scaled(channels, width):
    # Processors compute on several channels at once.
    return 4 * round(channels * width / 4)


def train_briefly(
    config: ml_collections.ConfigDict,
) -> ml_collections.ConfigDict:
    """Sets the recipe, for 30 epochs and images that may be mirrored."""
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


def digits() -> ml_collections.ConfigDict:
    """Configures a small VGG with exits on scikit-learn's scanned digits.

    It has the images of `ranet_digits`, and the recipe of `vgg_cifar10` but for
    the mirroring.
    """
    config = datasets.digits(
        "vgg",
        {
            "stem_width": 8,
            "widths": (16, 48, 96),
            "depths": (1, 2, 3),
            "residual": (2,),
        },
    )
    train_briefly(config)
    config.train.objective_arguments = ml_collections.ConfigDict(
        {"weights": (0.4, 0.7, 1.0)}
    )
    # 16 steps an epoch: an average over fewer of them.
    config.train.batch_size = 64
    config.train.average_decay = 0.95
    # Mirrored digits are other digits: shift, do not flip.
    config.train.augmentation_options = ml_collections.ConfigDict({"pixels": 1})
    return config


def cluttered_digits() -> ml_collections.ConfigDict:
    """Configures a small VGG with exits on digits among clutter: the demo.

    Many of its images are easy and some are hard, as in photographs.
    """
    config = datasets.digits(
        "vgg",
        {
            "stem_width": 8,
            "stem_strides": 2,
            "widths": (16, 48, 128),
            "depths": (1, 2, 3),
            "residual": (2,),
            "head_widths": ((24, 32), (64,), ()),
        },
    )
    train_briefly(config)
    config.data.source = "cluttered_digits"
    config.data.size = 32
    config.data.fractions = ml_collections.ConfigDict(
        {"validation": 0.0, "calibration": 0.0, "test": 0.0}
    )
    config.model.size = 32
    config.train.epochs = 16
    config.train.batch_size = 64
    config.train.average_decay = 0.98
    config.train.augmentation_options = ml_collections.ConfigDict({"pixels": 2})
    config.policy.rule = "budgeted_drop"
    return config


def photos() -> ml_collections.ConfigDict:
    """Configures four exits for photographs in a folder, seen at 96 pixels.

    The folder is given by `--config.data.source_options.path=DIR`; there are as
    many classes as it has directories.
    """
    config = train_briefly(default())
    with config.unlocked():
        config.data.source_options.path = "photos"
        # Larger than the model's input: room for random crops.
        config.data.size = 112
        config.data.shard_images = 1000
        config.model.family = "vgg"
        config.model.size = 96
        config.model.arguments = ml_collections.ConfigDict(
            {
                "stem_width": 16,
                "stem_strides": 2,
                "widths": (24, 64, 128, 256),
                "depths": (1, 2, 2, 3),
                "residual": (3,),
            }
        )
        config.train.objective_arguments = ml_collections.ConfigDict(
            {"weights": (0.4, 0.6, 0.8, 1.0)}
        )
        # Photographs are few, as a rule.
        config.train.epochs = 60
        config.train.batch_size = 64
        config.train.average_decay = 0.99
        config.train.augmentation = "resized_crop_flip"
        config.train.augmentation_options = ml_collections.ConfigDict(
            {"scale": (0.35, 1.0)}
        )
    return config


# By the last part of the name; 0.375 is a multiple of four channels.
_STATIC = {"w038": 0.375, "w050": 0.5, "w075": 0.75, "w100": 1.0}

CONFIGS = (
    {
        f"vgg_cifar{classes}": functools.partial(cifar, classes)
        for classes in (10, 100)
    }
    | {
        f"vgg_cifar{classes}_static_{suffix}": functools.partial(
            static_cifar, classes, width
        )
        for classes in (10, 100)
        for suffix, width in _STATIC.items()
    }
    | {
        "vgg_cluttered_digits": cluttered_digits,
        "vgg_digits": digits,
        "vgg_photos": photos,
    }
)
