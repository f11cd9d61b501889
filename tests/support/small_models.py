"""Builds small models of every family, for tests."""

import functools

import keras

from keras_dynamic import models

ARGUMENTS = {
    "ranet": {
        "input_shape": (20, 20, 3),
        "classes": 5,
        "channels": 4,
        "growth_rate": 4,
        "step": 1,
        "scales": (1, 2, 3),
        "growth_factors": (2, 2, 1),
        "bottleneck_factors": (2, 1, 1),
        "head_width": 8,
    },
    "msdnet": {
        "input_shape": (16, 16, 3),
        "classes": 5,
        "channels": 4,
        "growth_rate": 2,
        "growth_factors": (1, 2, 2),
        "bottleneck_factors": (1, 2, 2),
        "blocks": 3,
        "base": 2,
        "step": 2,
        "head_width": 8,
    },
    "resnet": {
        "input_shape": (16, 16, 3),
        "classes": 5,
        "blocks": 2,
        "widths": (4, 8),
    },
    "vgg": {
        "input_shape": (16, 16, 3),
        "classes": 5,
        "stem_width": 4,
        "widths": (4, 8, 12),
        "depths": (1, 2, 3),
        "residual": (2,),
        "head_widths": ((8, 8), (8,), ()),
    },
    "lcnet": {
        "input_shape": (16, 16, 3),
        "classes": 5,
        "backbone": {"family": "resnet", "blocks": 1, "widths": (4, 8)},
        "channels": "groups",
        "groups": 2,
        "exits": (0,),
        "head_width": 8,
    },
    "mobilenet_v2": {
        "input_shape": (16, 16, 3),
        "classes": 5,
        "width": 0.25,
        "downsampling": 8,
    },
    "mobilenet_v3": {
        "input_shape": (16, 16, 3),
        "classes": 5,
        "size": "small",
        "width": 0.25,
        "downsampling": 8,
    },
    "applications": {
        "input_shape": (32, 32, 3),
        "classes": 5,
        "network": "MobileNetV2",
        "options": {"alpha": 0.35},
        "at": 2,
        "head": "conv1",
    },
    "efficientnet_lite": {
        "input_shape": (32, 32, 3),
        "classes": 5,
        "at": 2,
        "head_width": 8,
    },
    "ghostnet": {
        "input_shape": (16, 16, 3),
        "classes": 5,
        "width": 0.25,
        "downsampling": 8,
        "at": ("ghost4_add",),
    },
    "ghost_regnet": {
        "input_shape": (16, 16, 3),
        "classes": 5,
        "depths": (1, 4),
        "widths": (8, 16),
        "group_width": 8,
        "stem_strides": 1,
        "at": ("stage0_block0_relu",),
    },
    "size_cascade": {
        "input_shape": (16, 16, 3),
        "classes": 5,
        "sizes": (10, 16),
        "backbone": {
            "family": "vgg",
            "stem_width": 4,
            "widths": (8, 12),
            "depths": (1, 2),
            "exits": (1,),
        },
    },
    "resolution_choice": {
        "input_shape": (16, 16, 3),
        "classes": 5,
        "sizes": (8, 12, 16),
        "backbone": {
            "family": "vgg",
            "stem_width": 4,
            "widths": (8, 12),
            "depths": (1, 2),
            "exits": (1,),
        },
        "router": {
            "family": "vgg",
            "stem_width": 4,
            "widths": (4,),
            "depths": (1,),
        },
        "router_size": 8,
        # Wide enough that all gates are open for some of the images.
        "temperature": 4.0,
    },
    "basisnet": {
        "input_shape": (16, 16, 3),
        "classes": 5,
        "preview": {"family": "resnet", "blocks": 1, "widths": (4, 8)},
        "preview_size": 8,
        "specialist": {
            "family": "mobilenet_v3",
            "size": "small",
            "width": 0.25,
            "downsampling": 8,
        },
        "bases": 4,
        # About 1/2 each: values neither grow nor vanish before training.
        "activation": "sigmoid",
        "dropout": 0.2,
    },
}


# Families whose first layer scales the image.
SCALING = ("applications", "efficientnet_lite")


@functools.cache
def small(family: str) -> keras.Model:
    """Returns the model of a family, always the same one."""
    keras.utils.set_random_seed(0)
    return models.build(family, **ARGUMENTS[family])
