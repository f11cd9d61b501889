import pytest

from keras_dynamic import models
from keras_dynamic.graph import functional

NETS = """
import keras

def build(*, input_shape, classes, width=4):
    x = inputs = keras.Input(input_shape)
    outputs = []
    for _ in range(2):
        x = keras.layers.Conv2D(width, 3)(x)
        pooled = keras.layers.GlobalAveragePooling2D()(x)
        end = keras.layers.Dense(classes, activation="softmax")
        outputs.append(end(pooled))
    return keras.Model(inputs, outputs)

def nothing(*, input_shape, classes):
    return None

VALUE = 3
"""
GIVEN = {"input_shape": (8, 8, 3), "classes": 3}


@pytest.fixture(autouse=True)
def nets(tmp_path, monkeypatch):
    (tmp_path / "their_nets.py").write_text(NETS)
    (tmp_path / "broken_nets.py").write_text("import no_such_package")
    monkeypatch.chdir(tmp_path)


def test_a_function_of_the_working_directory():
    first, second = (
        models.build("their_nets:build", **GIVEN, width=2) for _ in range(2)
    )
    ends = [functional.producer(each).operation for each in first.outputs]
    assert [each.name for each in ends] == ["exit_0", "exit_1"]
    assert {each.activation.__name__ for each in ends} == {"linear"}
    # Keras counts in the whole process; here each model begins anew.
    assert [a.name for a in first.layers] == [b.name for b in second.layers]


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("no_such_nets:build", "in the working directory"),
        ("their_nets:biuld", "build, nothing"),
        ("their_nets:VALUE", "build, nothing"),
    ],
)
def test_places_where_nothing_is(place, reason):
    with pytest.raises(ValueError, match=f"`model.family`.*{reason}.*{place}"):
        models.build(place, **GIVEN)


def test_a_function_that_gives_no_model():
    with pytest.raises(ValueError, match=r"`model` .*their_nets:nothing"):
        models.build("their_nets:nothing", **GIVEN)


def test_what_the_module_lacks_is_its_own_error():
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        models.build("broken_nets:build", **GIVEN)
