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
    """Leaves out what a make target of its own runs, unless `-m` asks."""
    left_out = [
        mark for mark in _ON_DEMAND if mark not in config.option.markexpr
    ]
    needy = [
        item for item in items if any(map(item.get_closest_marker, left_out))
    ]
    config.hook.pytest_deselected(items=needy)
    items[:] = [item for item in items if item not in needy]
