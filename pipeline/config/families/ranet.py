"""Configures the RANet experiments: the published settings, and the demo.

The anytime models follow the commands of the authors' repository, "model1" to
"model3" those of BoostNet's. The CIFAR and ImageNet schedules are those of the
RANet code.
"""

import functools

import ml_collections

from pipeline.config.families import datasets

# Per published CIFAR model: what differs between them.
_CIFAR = {
    "anytime": {
        "step": 4,
        "step_mode": "even",
        "scales": (1, 2, 3, 3),
        "growth_factors": (4, 2, 1, 1),
        "bottleneck_factors": (4, 2, 1, 1),
    },
    "model1": {
        "step": 2,
        "step_mode": "lg",
        "scales": (1, 2, 3),
        "growth_factors": (4, 2, 1),
        "bottleneck_factors": (4, 2, 1),
    },
    "model2": {
        "step": 2,
        "step_mode": "lg",
        "scales": (1, 2, 2, 3),
        "growth_factors": (4, 2, 2, 1),
        "bottleneck_factors": (4, 2, 2, 1),
    },
    "model3": {
        "step": 2,
        "step_mode": "lg",
        "scales": (1, 2, 3, 3),
        "growth_factors": (4, 2, 1, 1),
        "bottleneck_factors": (4, 2, 1, 1),
    },
}


def cifar(classes: int, model: str) -> ml_collections.ConfigDict:
    """Configures a published CIFAR model."""
    config = datasets.cifar(
        classes, "ranet", {"channels": 16, "growth_rate": 6, **_CIFAR[model]}
    )
    # Its many small convolutions are faster side by side than each on both
    # cores (benchmarks/training.py); more cores have not been tried.
    config.train.core_per_operation_up_to = 2
    return config


def imagenet(channels: int) -> ml_collections.ConfigDict:
    """Configures a published ImageNet model."""
    return datasets.imagenet(
        "ranet",
        {
            "channels": channels,
            "growth_rate": 16,
            "step": 8,
            "step_mode": "even",
            "scales": (1, 2, 3, 4),
            "growth_factors": (4, 2, 2, 1),
            "bottleneck_factors": (4, 2, 2, 1),
            "stem": "imagenet",
            "head_width": None,
        },
    )


def digits() -> ml_collections.ConfigDict:
    """Configures a small RANet on scikit-learn's scanned digits: the demo."""
    return datasets.digits(
        "ranet",
        {
            "channels": 12,
            "growth_rate": 12,
            "step": 2,
            "scales": (1, 2),
            "growth_factors": (1, 1),
            "bottleneck_factors": (2, 2),
            "head_width": 32,
        },
    )


CONFIGS = {
    f"ranet_cifar{classes}_{model}": functools.partial(cifar, classes, model)
    for classes in (10, 100)
    for model in _CIFAR
} | {
    "ranet_digits": digits,
    # Batch "model2" of the authors, too.
    "ranet_imagenet_anytime": functools.partial(imagenet, channels=64),
    "ranet_imagenet_model1": functools.partial(imagenet, channels=32),
}
