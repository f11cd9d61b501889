"""Settings of all tests."""

import hypothesis

# The same examples in every run; a slow machine is no failure.
hypothesis.settings.register_profile(
    "repository", deadline=None, derandomize=True
)
hypothesis.settings.load_profile("repository")


# Of tests that need what Python packages do not bring, or take long.
_ON_DEMAND = ("applications", "arm64", "browser", "flink")


def pytest_collection_modifyitems(config, items):
    """Leaves out what a make target of its own runs, unless `-m` asks.

    Files with slow tests come first, those of whole runs before others: else
    one worker still has one of them when the other has nothing left to do.
    """
    left_out = [
        mark for mark in _ON_DEMAND if mark not in config.option.markexpr
    ]
    needy = [
        item for item in items if any(map(item.get_closest_marker, left_out))
    ]
    config.hook.pytest_deselected(items=needy)
    items[:] = [item for item in items if item not in needy]
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: _turn(item.path, slow))


def _turn(path, slow) -> int:
    """Returns when a file's tests run; files of one turn stay in order."""
    if path.parent.name == "whole":
        return 0
    return 1 if path in slow else 2
