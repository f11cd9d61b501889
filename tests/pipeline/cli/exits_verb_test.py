import json
import types

import keras
import pytest

from pipeline.cli import exits_verb


def listed(capsys, *positional, as_json=False):
    exits_verb.run(types.SimpleNamespace(json=as_json), positional)
    return capsys.readouterr().out


def test_places_of_a_file(tmp_path, capsys):
    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.Conv2D(4, 3, name="first"),
        keras.layers.Conv2D(4, 3, name="second"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3),
    ]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    path = str(tmp_path / "model.keras")
    first, _ = json.loads(listed(capsys, path, as_json=True))["places"]
    assert (first["layer"], first["madds"]) == ("first", 36 * 27 * 4)
    assert (first["tensors"], first["bytes"]) == (1, 36 * 4)
    head, *rows = listed(capsys, path).splitlines()
    assert head.split()[0] == "layer"
    assert [row.split()[0] for row in rows] == ["first", "second"]


def test_places_of_a_configuration(capsys):
    found = listed(capsys, "resnet_digits")
    assert "stage" in found or "block" in found


@pytest.mark.parametrize("given", [(), ("a", "b"), ("absent.keras",)])
def test_one_model_that_is_there(given):
    with pytest.raises(ValueError, match="`MODEL`"):
        exits_verb.run(types.SimpleNamespace(json=False), given)
