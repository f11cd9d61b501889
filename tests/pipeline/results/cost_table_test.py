import json

import pytest

from pipeline.results import cost_table
from tests.support import small_bundle


@pytest.fixture
def opened(tmp_path):
    return small_bundle.write(tmp_path / "bundle")


def test_what_was_written_is_read(opened, tmp_path):
    table = cost_table.of(opened, [1.0, 0.5, None], 0.1, "a phone")
    cost_table.write(tmp_path / "costs.json", table)
    assert cost_table.read(tmp_path / "costs.json") == table


def test_an_image_costs_its_segments_and_its_decisions(opened):
    table = cost_table.of(opened, [1.0, 0.5, 2.0], 0.1)
    assert table.exit_ms(opened) == pytest.approx([1.1, 1.7, 3.7])


def test_other_segments_are_refused(opened):
    table = cost_table.CostTable(("a",), ("0" * 64,), (1.0,))
    with pytest.raises(ValueError, match="`costs` must be measured on"):
        table.exit_ms(opened)


def test_a_segment_without_a_time_is_named(opened):
    table = cost_table.of(opened, [1.0, None, 2.0])
    with pytest.raises(ValueError, match=r"Received: none for \S+\.tflite"):
        table.exit_ms(opened)


@pytest.mark.parametrize(
    ("key", "value"),
    [("format_version", 2), ("format_version", True), ("decision_ms", -1)]
    + [("decision_ms", "1"), ("about", 3), ("segments", []), ("more", 1)]
    + [("segments", [{"file": "a", "sha256": "b", "ms": -1.0}])]
    + [("segments", [{"file": "a", "ms": 1.0}]), ("segments", [3])],
)
def test_other_content_is_refused(opened, tmp_path, key, value):
    path = tmp_path / "costs.json"
    cost_table.write(path, cost_table.of(opened, [1.0, 0.5, 2.0]))
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ValueError, match="must be a cost table"):
        cost_table.read(path)
