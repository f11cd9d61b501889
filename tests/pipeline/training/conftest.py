"""What tests of a trained model share."""

import pytest

from pipeline.results.layout import Layout
from tests.support import prepared_data


@pytest.fixture
def layout(tmp_path):
    (tmp_path / "data").mkdir()
    members = {"test": prepared_data.images(300, side=6, channels=1)}
    prepared_data.write(tmp_path / "data", members)
    return Layout(tmp_path)
