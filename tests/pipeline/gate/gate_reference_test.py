import dataclasses
import json
import re

import agreed
import numpy as np
import pytest

from pipeline.gate import comparison, metric, reference


@pytest.fixture
def written(tmp_path):
    """A reference file, and a way to read it with one value changed."""
    path = tmp_path / "reference.json"
    reference.write(path, agreed.agreeing())

    def read(*keys, value=None, remove=False):
        values = json.loads(path.read_text())
        if keys:
            inner = values
            for key in keys[:-1]:
                inner = inner[key]
            if remove:
                del inner[keys[-1]]
            else:
                inner[keys[-1]] = value
            path.write_text(json.dumps(values))
        return reference.read(path)

    return read


def test_back_again(written):
    before, after = agreed.agreeing(), written()
    for field in dataclasses.fields(before):
        if field.name != "metrics":
            name = field.name
            assert getattr(after, name) == getattr(before, name), name
    assert before.metrics.keys() == after.metrics.keys()
    for name, each in before.metrics.items():
        found = after.metrics[name]
        assert (found.value, found.allowed) == (each.value, each.allowed)
        np.testing.assert_array_equal(found.right, each.right)
    assert not any(
        each.failed for each in comparison.compare(after, agreed.measured())
    )


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["format_version"], 2, "`format_version` must be 1. Received: 2"),
        (["level"], 5, "`level` must lie between 0 and 1. Received: 5"),
        (["level"], "5 %", "`level` must be a finite number"),
        (["leevl"], 1, "`the file` must have only"),
        (["test", "images"], -1, "`test.images` must be a positive integer"),
        (["test", "images"], 500, "must hold 500 bits. Received: 400"),
        (["right", "accuracy"], "?", "must be base64"),
        (["right", "other"], "AA==", "must hold 400 bits"),
        (["metrics", "madds", "tolerance"], -1, "must be 0 or more"),
        (["metrics", "madds", "value"], None, "`metrics.madds.value` must be"),
        (["metrics", "madds", "atol"], 1, "must have only value, tolerance"),
        (["metrics", "madds"], 7, "`metrics.madds` must be an object"),
        (["metrics", "madds", "xfail"], " ", "must say why the metric fails"),
        (["metrics", "madds", "xfail"], True, "must say why the metric fails"),
        (["labels"], 3, "cannot be used"),
        (["metrics"], [], "cannot be used"),
    ],
)
def test_what_cannot_be_used(written, keys, value, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        written(*keys, value=value)
    assert "reference.json" in str(caught.value)


def test_a_key_that_is_not_there(written):
    with pytest.raises(ValueError, match="it lacks the key 'labels'"):
        written("labels", remove=True)


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_no_such_file_or_no_json(tmp_path, text):
    path = tmp_path / "reference.json"
    with pytest.raises(ValueError, match="--update"):
        reference.read(path)
    path.write_text(text)
    with pytest.raises(ValueError, match="`reference`"):
        reference.read(path)


def test_a_tolerance_may_be_left_out(written):
    found = written("metrics", "madds", "tolerance", remove=True)
    assert found.metrics["madds"].allowed == 20.0


def test_an_update_keeps_what_people_decide():
    old = agreed.agreeing()
    known = dataclasses.replace(
        old.metrics["operators"], xfail="two heads are float"
    )
    wide = dataclasses.replace(old.metrics["madds"], tolerance=55.0)
    old = dataclasses.replace(
        old,
        level=0.01,
        metrics=old.metrics | {"operators": known, "madds": wide},
    )
    now = agreed.measured(
        agreed.answered(300),
        madds=metric.cost(2000.0),
        operators=metric.count(5, ""),
    )
    new = reference.updated(old, now, {})
    assert new.level == 0.01
    assert new.metrics["madds"].value == 2000.0
    assert new.metrics["madds"].tolerance == 55.0
    assert new.metrics["accuracy"].value == 0.75
    assert new.metrics["operators"] == known
    failed = [each for each in comparison.compare(new, now) if each.failed]
    assert failed == []


def test_an_update_to_other_images_forgets_the_answers():
    known = dataclasses.replace(
        agreed.agreeing().metrics["accuracy"], xfail="too narrow"
    )
    old = dataclasses.replace(
        agreed.agreeing(), metrics={"accuracy": known}, sha256="other"
    )
    new = reference.updated(old, agreed.measured(), {})
    assert new.metrics["accuracy"].xfail == "too narrow"
    assert new.metrics["accuracy"].right is None
