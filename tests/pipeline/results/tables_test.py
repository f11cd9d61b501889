import csv

import pytest

from pipeline.results import metrics_file, tables
from pipeline.results.layout import Layout
from tests.support import finished_run


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_tables_say_what_metrics_json_says(tmp_path):
    layout = Layout(finished_run.write(tmp_path))
    found = metrics_file.read(layout.metrics)
    found["exits"][1]["accuracy"]["qat"] = 0.25
    tables.publish(layout.exits_table, layout.curves_table, found)

    rows = read(layout.exits_table)
    assert tuple(rows[0]) == tables.EXITS
    assert [(row["kind"], row["exit"]) for row in rows[:6]] == [
        (kind, str(k)) for kind in ("float", "int8") for k in range(3)
    ]
    # Quantization-aware training notes accuracies and nothing else.
    assert [row["kind"] for row in rows[6:]] == ["qat"] * 3
    assert (rows[7]["accuracy"], rows[7]["auroc"]) == ("0.25", "")
    for row, expected in zip(rows[3:6], found["exits"], strict=True):
        assert int(row["madds_paper"]) == expected["madds_paper"]
        for name in ("accuracy", "aurc", "temperature", "calibration_accuracy"):
            assert float(row[name]) == expected[name]["int8"]
        assert row["temperature_status"] == "converged"

    rows = read(layout.curves_table)
    assert tuple(rows[0]) == tables.CURVES
    assert len(rows) == 2 * (3 + 39)
    points = found["curves"]["int8"]["budgeted_batch"]["points"]
    for row, point in zip(rows[-39:], points, strict=True):
        assert (row["kind"], row["curve"]) == ("int8", "budgeted_batch")
        for name, value in point.items():
            assert float(row[name]) == value


def test_of_the_float_model_alone_and_without_calibration(tmp_path):
    layout = Layout(
        finished_run.write(tmp_path, kinds=["float"], calibration=False)
    )
    found = metrics_file.read(layout.metrics)
    tables.publish(layout.exits_table, layout.curves_table, found)
    assert [row["curve"] for row in read(layout.curves_table)] == [
        "anytime"
    ] * 3
    assert [row["temperature"] for row in read(layout.exits_table)] == [""] * 3


def test_nothing_half_written(tmp_path):
    path = tmp_path / "table.csv"
    tables.write(path, ("a", "b"), [{"a": "x, y", "b": None}])
    assert path.read_text() == 'a,b\n"x, y",\n'
    with pytest.raises(ValueError, match="c"):
        tables.write(path, ("a", "b"), [{"a": 1}, {"c": 2}])
    assert path.read_text() == 'a,b\n"x, y",\n'
    assert [each.name for each in tmp_path.iterdir()] == ["table.csv"]
