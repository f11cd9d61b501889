import pytest

from tests.support import tiny_bundle


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Writes a bundle to score with."""
    directory = tmp_path_factory.mktemp("bundle")
    tiny_bundle.write(directory)
    return directory
