"""Holds `config.model`: what the network is."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pipeline.config.setting import setting
from pipeline.config.value_rules import at_least, named

FAMILIES = (
    "applications",
    "basisnet",
    "efficientnet_lite",
    "ghost_regnet",
    "ghostnet",
    "keras_file",
    "lcnet",
    "mobilenet_v2",
    "mobilenet_v3",
    "msdnet",
    "ranet",
    "resnet",
    "resolution_choice",
    "size_cascade",
    "vgg",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """Says what the network is."""

    family: str = setting(
        "ranet",
        "Which network it is ([models](models.md)); `keras_file` is one of "
        "yours ([your own](models.md#your-own-model)).",
        named(*FAMILIES),
    )
    size: int = setting(
        32,
        "Height and width of the input; stored images may be larger.",
        at_least(1),
    )
    classes: int = setting(
        0, "Number of classes; 0: as many as the data has.", at_least(0)
    )
    arguments: Mapping[str, Any] = setting(
        dict, "Arguments of the family's builder."
    )
