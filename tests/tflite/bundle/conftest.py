"""A bundle of two segments that are just bytes."""

import pytest

from tests.support.bundle_directory import parts


@pytest.fixture
def directory(tmp_path, write_bundle):
    write_bundle(tmp_path / "bundle", parts())
    return tmp_path / "bundle"
