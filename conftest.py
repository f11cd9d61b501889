"""Settings of all tests."""

import hypothesis

# The same examples in every run; a slow machine is no failure.
hypothesis.settings.register_profile(
    "repository", deadline=None, derandomize=True
)
hypothesis.settings.load_profile("repository")
