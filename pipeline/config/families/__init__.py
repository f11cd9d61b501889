"""Names the built-in configurations, in a table for each family."""

from collections.abc import Callable, Mapping

import ml_collections

from pipeline.config.families import (
    basisnet,
    efficientnet_lite,
    ghost,
    lcnet,
    mobilenet,
    msdnet,
    photos,
    ranet,
    resnet,
    resolution_choice,
    size_cascade,
    vgg,
)

Table = Mapping[str, Callable[[], ml_collections.ConfigDict]]

FAMILIES: Mapping[str, Table] = {
    "basisnet": basisnet.CONFIGS,
    "efficientnet": efficientnet_lite.CONFIGS,
    "ghost": ghost.CONFIGS,
    "lcnet": lcnet.CONFIGS,
    "mobilenet": mobilenet.CONFIGS,
    "msdnet": msdnet.CONFIGS,
    "photos": photos.CONFIGS,
    "ranet": ranet.CONFIGS,
    "resnet": resnet.CONFIGS,
    "resolution_choice": resolution_choice.CONFIGS,
    "size_cascade": size_cascade.CONFIGS,
    "vgg": vgg.CONFIGS,
}


def joined(families: Mapping[str, Table]) -> Table:
    """Returns the tables of some families as one.

    Raises:
        ValueError: If two of them have the same name.
    """
    found = {}
    for family, table in families.items():
        if twice := sorted(found.keys() & table):
            raise ValueError(
                "`families` must have different names. "
                f"Received: {', '.join(twice)} in {family} and before"
            )
        found |= table
    return found


CONFIGS = joined(FAMILIES)
