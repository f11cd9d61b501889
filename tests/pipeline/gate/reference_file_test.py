import dataclasses
import json
import re

import numpy as np
import pytest

from pipeline.gate import comparison, reference_file
from tests.support import measured_gate


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "reference.json"
    reference_file.write(path, measured_gate.agreeing())
    return path


def change(path, *keys, value=None, remove=False):
    """Changes one value of a file, or removes it."""
    values = inner = json.loads(path.read_text())
    for key in keys[:-1]:
        inner = inner[key]
    if remove:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = value
    path.write_text(json.dumps(values))


def known_to_fail(reference, name, reason="known"):
    """A reference with a mark at one metric."""
    marked = dataclasses.replace(reference.metrics[name], xfail=reason)
    metrics = {**reference.metrics, name: marked}
    return dataclasses.replace(reference, metrics=metrics)


def test_back_again(path):
    before, after = measured_gate.agreeing(), reference_file.read(path)
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
        each.failed
        for each in comparison.compare(after, measured_gate.measured())
    )


@pytest.mark.parametrize("for_update", [False, True])
@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["format_version"], 3, "`format_version` must be 2"),
        (["format_version"], 2.0, "`format_version` must be 2"),
        (["format_version"], True, "`format_version` must be 2"),
        (["level"], 5, "`level` must lie between 0 and 1. Received: 5"),
        (["level"], "5 %", "`level` must be a finite number"),
        (["level"], True, "`level` must be a finite number"),
        (["leevl"], 1, "`the file` must have only"),
        (["config"], 1, "`config` must be"),
        (["test", "images"], -1, "`test.images` must be a positive integer"),
        (["test", "images"], True, "`test.images` must be a positive integer"),
        (["test", "images"], 500, "must hold 500 bits. Received: 400"),
        (["test", "sha256"], "abc", "`test.sha256` must be"),
        (["test", "size"], 1, "`test` must have only"),
        (["right", "accuracy"], "?", "`right.accuracy` cannot be read"),
        (["right", "accuracy"], 7, "`right.accuracy` cannot be read"),
        (["right", "other"], "AA==", "`right` must name metrics only"),
        (["metrics", "madds", "tolerance"], -1, "must be 0 or more"),
        (["metrics", "madds", "tolerance"], 10**400, "at most 2^53"),
        (["metrics", "madds", "tolerance"], float("inf"), "finite"),
        (["metrics", "madds", "relative_tolerance"], -0.1, "0 or more"),
        (["metrics", "madds", "relative_tolerance"], 2, "less than 1"),
        # Five points are 0.05.
        (["metrics", "accuracy", "tolerance"], 5, "less than 1"),
        (["metrics", "accuracy", "value"], 1.5, "from 0 to 1"),
        (["metrics", "madds", "value"], None, "`metrics.madds.value` must be"),
        (["metrics", "madds", "value"], float("nan"), "finite"),
        (["metrics", "madds", "atol"], 1, "must have only value, tolerance"),
        (["metrics", "madds"], 7, "`metrics.madds` must be an object"),
        (["metrics", "madds", "xfail"], " ", "must say why the metric fails"),
        (["metrics", "madds", "xfail"], True, "must say why the metric fails"),
        (["metrics", "madds", "xfail"], "\x1b[2J", "`metrics.madds.xfail`"),
        (["metrics", "a\nb"], {"value": 1}, "`metrics` must be text"),
        (["labels"], 3, "`labels` must be a list"),
        (["labels"], "ab", "`labels` must be a list"),
        (["labels"], ["a", 1], "`labels` must be a list"),
        (["metrics"], [], "cannot be used"),
        (["policies", "default"], 1, "`policies.default` must be an object"),
        (["policies", "default"], {}, "lacks the key 'kind'"),
        (
            ["policies", "default", "thresholds"],
            [0.0],
            "`policies.default` must have lists of one length",
        ),
        (["policies", "default", "enabled"], [1, 1], "must be a list of bool"),
        (["policies", "default", "thresholds"], [0.5, "0"], "finite"),
        (["layer_errors", "stem"], "1 %", "`layer_errors.stem` must be"),
    ],
)
def test_what_cannot_be_used(path, keys, value, message, for_update):
    change(path, *keys, value=value)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        reference_file.read(path, for_update=for_update)
    assert "reference.json" in str(caught.value)


@pytest.mark.parametrize("key", ["labels", "checksum"])
def test_a_key_that_is_not_there(path, key):
    change(path, key, remove=True)
    with pytest.raises(ValueError, match=f"lacks the key '{key}'"):
        reference_file.read(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", 100_000 * "[", '"\\u'])
def test_no_such_file_or_no_json(tmp_path, text):
    path = tmp_path / "reference.json"
    with pytest.raises(ValueError, match="--update"):
        reference_file.read(path)
    path.write_text(text)
    with pytest.raises(ValueError, match="`reference`"):
        reference_file.read(path)


@pytest.mark.parametrize("key", ['"level": 0.05', '"madds": {"value": 1000.0}'])
def test_a_key_named_twice_is_refused(path, key):
    # Readers of JSON take the last one, people may see the first.
    text = path.read_text()
    start = text.index(key.partition(":")[0])
    path.write_text(f"{text[:start]}{key}, {text[start:]}")
    with pytest.raises(ValueError, match="once"):
        reference_file.read(path)


@pytest.mark.parametrize("for_update", [False, True])
def test_what_people_decide_may_be_edited(path, for_update):
    change(path, "level", value=0.01)
    change(path, "metrics", "madds", "tolerance", value=55)
    change(path, "metrics", "madds", "relative_tolerance", value=0.5)
    change(path, "metrics", "accuracy", "tolerance", value=0.02)
    change(path, "metrics", "operators", "xfail", value="two heads\nare float")
    found = reference_file.read(path, for_update=for_update)
    assert found.level == 0.01
    assert found.metrics["madds"].allowed == 500.0
    assert found.metrics["accuracy"].allowed == 0.02
    assert found.metrics["operators"].xfail == "two heads are float"


def test_a_tolerance_may_be_left_out(path):
    change(path, "metrics", "madds", "tolerance", remove=True)
    assert reference_file.read(path).metrics["madds"].allowed == 20.0


def test_another_layout_is_the_same_file(path):
    values = json.loads(path.read_text())
    values["metrics"]["madds"]["value"] = 1000
    values = dict(reversed(values.items()))
    path.write_text(json.dumps(values, sort_keys=True, indent="\t"))
    reference_file.read(path)


@pytest.mark.parametrize(
    ("keys", "value", "field"),
    [
        (["metrics", "madds", "value"], 900.0, "checksum"),
        (["metrics", "accuracy", "value"], 0.89, "metrics.accuracy.value"),
        (["labels"], ["dog", "cat"], "checksum"),
        (["config"], "another", "checksum"),
        (["test", "sha256"], 64 * "0", "checksum"),
        (["layer_errors", "stem"], 0.02, "checksum"),
        (["policies", "default", "thresholds"], [0.4, 0.0], "checksum"),
        (["metrics", "extra"], {"value": 1}, "checksum"),
        (["checksum"], 64 * "0", "checksum"),
        (["checksum"], None, "checksum"),
    ],
)
def test_what_was_measured_may_not(path, keys, value, field):
    change(path, *keys, value=value)
    with pytest.raises(ValueError, match=f"`{field}` must") as caught:
        reference_file.read(path)
    assert "--update" in str(caught.value)
    assert str(path) in str(caught.value)
    # An update measures it again.
    reference_file.read(path, for_update=True)


def test_answers_that_are_not_there_any_more(path):
    change(path, "right", "accuracy", remove=True)
    with pytest.raises(ValueError, match="`checksum`"):
        reference_file.read(path)


def test_the_value_of_one_model_beside_the_answers_of_another(path, tmp_path):
    damaged = tmp_path / "damaged.json"
    now = measured_gate.measured(measured_gate.answered(268))
    reference_file.write(damaged, measured_gate.agreeing(now))
    # A merge by hand that takes the checksum of either side.
    for values in (path, damaged):
        merged = json.loads(values.read_text())
        good, bad = (json.loads(each.read_text()) for each in (path, damaged))
        merged["metrics"], merged["right"] = good["metrics"], bad["right"]
        file = tmp_path / "merged.json"
        file.write_text(json.dumps(merged))
        with pytest.raises(ValueError, match=r"`metrics.accuracy.value`"):
            reference_file.read(file)


def test_bits_beyond_the_last_image(tmp_path):
    found = measured_gate.agreeing()
    right = {
        name: dataclasses.replace(each, right=each.right[:397], value=1.0)
        for name, each in found.metrics.items()
        if name == "accuracy"
    }
    path = tmp_path / "reference.json"
    reference_file.write(
        path,
        dataclasses.replace(found, metrics=found.metrics | right, images=397),
    )
    text = json.loads(path.read_text())["right"]["accuracy"]
    change(path, "right", value={"accuracy": text[:-3] + "H=="})
    with pytest.raises(ValueError, match=r"`right.accuracy`"):
        reference_file.read(path)


def test_an_earlier_release_s_file_says_what_to_do(path):
    change(path, "format_version", value=1)
    change(path, "checksum", remove=True)
    change(path, "metrics", "madds", "tolerance", value=55.0)
    with pytest.raises(ValueError, match="`format_version`") as caught:
        reference_file.read(path)
    assert "--update" in str(caught.value)
    found = reference_file.read(path, for_update=True)
    assert found.metrics["madds"].tolerance == 55.0


def test_an_update_keeps_no_contradiction(path):
    reference = known_to_fail(measured_gate.agreeing(), "accuracy")
    reference_file.write(path, reference)
    reference_file.read(path, for_update=True)
    change(path, "metrics", "accuracy", "value", value=0.5)
    with pytest.raises(ValueError, match=r"`metrics.accuracy.value`"):
        reference_file.read(path, for_update=True)
