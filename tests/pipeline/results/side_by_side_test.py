import pytest

from pipeline.results import side_by_side
from tests.support import benchmark_times, report_inputs


@pytest.fixture
def layout(tmp_path):
    return report_inputs.write(tmp_path / "run")


def read(layout):
    benchmark = side_by_side.read_benchmark(layout)
    return side_by_side.of(report_inputs.METRICS, benchmark)


def test_the_times_are_of_one_run_with_the_first_number_of_threads(layout):
    benchmark_times.write(layout, "chain", "routed", "unsplit", "static")
    found = read(layout)
    assert found.routed == pytest.approx(2.0)
    assert found.unsplit == pytest.approx(3.0)
    assert found.alone == pytest.approx(4.0)
    # 97.51 % are wanted.
    assert found.exit.exit == 2


def test_without_a_single_exit(layout):
    benchmark_times.write(layout, "chain", "routed", "unsplit")
    found = read(layout)
    assert (found.alone, found.exit) == (None, None)


def test_times_of_another_model_are_not_read(layout):
    assert read(layout) is None
    benchmark_times.write(layout, "chain", "routed", "unsplit", "static")
    layout.tflite_model.write_bytes(b"another")
    assert read(layout) is None
