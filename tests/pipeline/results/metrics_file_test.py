import numpy as np
import pytest

from pipeline.results import metrics_file

FOUND = {"config": "tiny", "exits": [{"exit": 0, "accuracy": {}}]}


def test_written_and_read(tmp_path):
    path = tmp_path / "metrics.json"
    metrics_file.write(path, FOUND)
    found = metrics_file.read(path)
    assert found == {"format_version": 1, **FOUND}
    # A stage writes what it read, with more in it.
    metrics_file.write(path, found | {"chain": {"samples": 3}})
    assert metrics_file.read(path) == {**found, "chain": {"samples": 3}}


def test_facts_go_to_their_exits():
    assert metrics_file.exit_rows(
        "int8", accuracy=[0.25, 0.75], aurc=[0.5, None]
    ) == [
        {"accuracy": {"int8": 0.25}, "aurc": {"int8": 0.5}},
        {"accuracy": {"int8": 0.75}, "aurc": {"int8": None}},
    ]


def test_one_value_per_exit():
    with pytest.raises(ValueError, match="zip"):
        metrics_file.exit_rows("int8", accuracy=[0.25], aurc=[0.5, 0.25])


def test_what_gates_left_to_do():
    [first, last] = metrics_file.dynamic_madds(np.array([[5, 5], [6, 10]]))
    assert first == {"mean": 5.0, "std": 0.0, "min": 5, "max": 5}
    assert last == {"mean": 8.0, "std": 2.0, "min": 6, "max": 10}


def test_metrics_of_the_float_model_alone(tmp_path):
    path = tmp_path / "metrics.json"
    metrics_file.write(path, FOUND)
    with pytest.raises(ValueError, match="keras-dynamic convert"):
        metrics_file.read_converted(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "must be what `keras-dynamic evaluate` writes"),
        ('{"format_version": 1, ', "must be what `keras-dynamic evaluate`"),
        ('{"format_version": 2}', "format_version 1. Received: 2"),
        ("{}", "format_version 1. Received: None"),
        ("[1]", "format_version 1. Received: False"),
    ],
)
def test_another_file(tmp_path, text, message):
    path = tmp_path / "metrics.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        metrics_file.read(path)
    assert str(path) in str(caught.value)


def test_nan_is_not_written(tmp_path):
    path = tmp_path / "metrics.json"
    metrics_file.write(path, FOUND)
    with pytest.raises(ValueError, match="must be JSON"):
        metrics_file.write(path, {"chain": {"overhead": float("nan")}})
    assert metrics_file.read(path)["config"] == "tiny"
