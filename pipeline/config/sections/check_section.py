"""Holds `config.check`: what the check of a bundle allows."""

import dataclasses

from pipeline.config.setting import setting
from pipeline.config.value_rules import between, finite


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
    """Says what the check of a finished bundle allows."""

    max_points: float = setting(
        1.0,
        "Largest loss of an exit's int8 accuracy against float, in percentage "
        "points.",
        finite(),
    )
    level: float = setting(
        0.05,
        "A larger loss counts unless chance tells two equally good models as "
        "far apart, on these test images, with a higher probability; at 1 it "
        "always counts.",
        between(0, 1),
    )
