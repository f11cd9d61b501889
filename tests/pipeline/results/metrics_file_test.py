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


def test_accuracies_go_to_their_exits():
    found = {"exits": [{"accuracy": {"float": 0.5}}, {"accuracy": {}}]}
    metrics_file.set_accuracies(found, "int8", [0.25, 0.75])
    assert [row["accuracy"] for row in found["exits"]] == [
        {"float": 0.5, "int8": 0.25},
        {"int8": 0.75},
    ]


def test_facts_go_to_their_exits():
    found = {"exits": [{"aurc": {"float": 0.5}}, {}]}
    metrics_file.set_values(found, "aurc", "int8", [0.25, None])
    assert found["exits"] == [
        {"aurc": {"float": 0.5, "int8": 0.25}},
        {"aurc": {"int8": None}},
    ]


def test_one_accuracy_per_exit():
    with pytest.raises(ValueError, match="zip"):
        metrics_file.set_accuracies({"exits": []}, "int8", [0.25])


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
