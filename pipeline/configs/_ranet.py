"""What the RANet experiments share: the published settings.

The commands of the authors' repository for the anytime models, and of
BoostNet's for "model1" to "model3". The CIFAR and ImageNet schedules are
those of the RANet code.
"""

import ml_collections

from pipeline.configs import _datasets

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
    """A published CIFAR model."""
    config = _datasets.cifar(
        classes,
        family="ranet",
        arguments={"channels": 16, "growth_rate": 6, **_CIFAR[model]},
        name=f"ranet_cifar{classes}_{model}",
    )
    # Its many small convolutions are faster side by side than each on both
    # cores (benchmarks/training.py); more cores have not been tried.
    config.train.core_per_operation_up_to = 2
    return config


def imagenet(channels: int, name: str) -> ml_collections.ConfigDict:
    """A published ImageNet model."""
    return _datasets.imagenet(
        family="ranet",
        arguments={
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
        name=name,
    )
