"""Holds `config.benchmark`: how times and memory are measured."""

import dataclasses

from pipeline.config.setting import setting
from pipeline.config.value_rules import Rule, at_least


def _are_threads(values: tuple[int, ...]) -> bool:
    different = len(set(values)) == len(values)
    return bool(values) and different and min(values) >= 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Says how times and memory are measured."""

    warmup: int = setting(50, "Rounds that are not counted.", at_least(0))
    runs: int = setting(
        1000,
        "Rounds that are counted; in each, every contestant runs one image.",
        at_least(1),
    )
    seed: int = setting(0, "Seed of the order within a round.", at_least(0))
    threads: tuple[int, ...] = setting(
        (1, 2),
        "CPU threads of an operator; metrics.json has the first of them.",
        Rule("different numbers of at least 1", _are_threads),
    )
    starts: int = setting(
        3,
        "New processes in which load time, first call and memory are measured.",
        at_least(1),
    )
    others: tuple[str, ...] = setting(
        (),
        "What else takes part: .tflite files, and working directories, whose "
        "tflite/model.tflite does.",
    )
