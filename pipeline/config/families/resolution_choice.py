"""Configures choices of resolutions: a router picks the size of the image."""

from collections.abc import Callable

import ml_collections

from pipeline.config.families import size_cascade


def _chosen(
    cascade: Callable[[], ml_collections.ConfigDict],
    annealing_steps: int,
    target: float,
    **arguments,
) -> ml_collections.ConfigDict:
    """Configures a choice between the networks of a cascade of sizes."""
    config = cascade()
    given = config.model.arguments.to_dict() | arguments
    given["annealing_steps"] = annealing_steps
    config.model.family = "resolution_choice"
    config.model.arguments = ml_collections.ConfigDict(given)
    config.train.objective = "cost_target"
    config.train.objective_arguments = ml_collections.ConfigDict(
        {"target": target}
    )
    return config


def cifar10() -> ml_collections.ConfigDict:
    """Configures three networks of `size_cascade_cifar10`, and their router."""
    return _chosen(
        lambda: size_cascade.cifar(10),
        # A third of 30 epochs of 352 steps.
        annealing_steps=3500,
        target=0.5,
        sizes=(16, 24, 32),
        router_size=16,
    )


def cluttered_digits() -> ml_collections.ConfigDict:
    """Configures the two networks of `size_cascade_cluttered_digits`."""
    router = {
        "family": "vgg",
        "stem_width": 8,
        "widths": (16, 32),
        "depths": (1, 1),
        "exits": (1,),
    }
    return _chosen(
        size_cascade.cluttered_digits,
        # A third of 16 epochs of 60 steps.
        annealing_steps=320,
        target=0.6,
        router=router,
        router_size=16,
    )


CONFIGS = {
    "resolution_choice_cifar10": cifar10,
    "resolution_choice_cluttered_digits": cluttered_digits,
}
