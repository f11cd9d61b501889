"""Settings of all tests."""

import hypothesis

# The same examples in every run; a slow machine is no failure.
hypothesis.settings.register_profile(
    "repository", deadline=None, derandomize=True
)
hypothesis.settings.load_profile("repository")


def pytest_collection_modifyitems(config, items):
    """Leaves out the tests that need a cluster, unless `-m flink` asks."""
    if "flink" in config.option.markexpr:
        return
    needy = [item for item in items if item.get_closest_marker("flink")]
    config.hook.pytest_deselected(items=needy)
    items[:] = [item for item in items if item not in needy]
