import csv

import pytest

from pipeline.benchmarking import timetable
from pipeline.results import tables
from tests.support import benchmark_times
from tests.support.benchmark_times import ALL, rows


def test_a_row_for_each_of_them_and_for_each_segment():
    found = [
        (row["contestant"], row["threads"], row["segment"])
        for row in rows(*ALL)
    ]
    assert len(found) == len(set(found)) == 2 * (6 + 2)
    assert ("chain", 2, "exit_1") in found
    assert ("onnx", 1, None) in found


def test_kernel_and_harness_are_the_call():
    for row in rows(*ALL):
        assert row["kernel_mean_ms"] + row["harness_mean_ms"] == pytest.approx(
            row["call_mean_ms"]
        )
        assert row["call_p50_ms"] <= row["call_p90_ms"] <= row["call_p99_ms"]


def test_the_table_has_every_row_and_no_other_column(tmp_path):
    made = rows(*ALL)
    tables.write(tmp_path / "benchmark.csv", timetable.COLUMNS, made)
    with open(tmp_path / "benchmark.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == len(made)
    for each, row in zip(read, made, strict=True):
        assert each == {
            name: "" if row.get(name) is None else str(row[name])
            for name in timetable.COLUMNS
        }


def test_ratios():
    first, second = timetable.ratios(rows(*ALL))
    expected = {
        "chain / unsplit, p50": 1 / 3,
        "routed / unsplit, mean": 2 / 3,
        "routed / static, mean": 2 / 4,
        "routed / float, mean": 2 / 5,
        "routed / onnx, mean": 2 / 6,
        "chain / unsplit, peak memory": 1 / 3,
    }
    us = "chain, harness per segment, us"
    # A quarter of a millisecond, of two segments.
    assert first == pytest.approx({"threads": 1, **expected, us: 125.0})
    assert second == pytest.approx({"threads": 2, **expected, us: 62.5})


def test_what_is_not_there_has_no_ratio():
    found = benchmark_times.document(
        "chain", "routed", "unsplit", "static", "float"
    )
    for each in found["ratios"]:
        assert each["routed / onnx, mean"] is None
        assert each["routed / unsplit, mean"] is not None
    text = timetable.text(found)
    assert "not measured: onnx: not <here>" in text
    assert "routed / onnx, mean             not measured" in text


def test_the_text_has_a_line_for_each_row():
    lines = timetable.text(benchmark_times.document(*ALL)).splitlines()
    assert max(map(len, lines)) <= 100
    for threads in ("1 thread,", "2 threads,"):
        [at] = [i for i, each in enumerate(lines) if each.startswith(threads)]
        names = [each.split()[0] for each in lines[at + 2 : at + 10]]
        assert names == ["chain", "exit_0", "exit_1", *ALL[1:]]
