import json
import zipfile

import keras
import numpy as np
import pytest

from keras_dynamic import objectives
from keras_dynamic.training.trainer import Trainer, deployed
from tests.support.toy_exits import family, step

NEEDS = {"one_for_all": "teacher", "zero_time_waste": "backbone"}


# `cost_target` is for models with gates, and tested with them.
@pytest.mark.parametrize(
    "name", sorted(objectives.BUILDERS.keys() - {"cost_target"})
)
@pytest.mark.parametrize("model", ["ranet", "msdnet"])
def test_each_trains_each_family(name, model):
    arguments = {NEEDS[name]: family(model)} if name in NEEDS else {}
    objective = objectives.build(name, **arguments)
    balanced = objectives.gradient_equilibrium(family(model))
    trainer = Trainer(balanced, objective)
    before = [np.asarray(v) for v in trainer.trainable_variables]
    assert np.isfinite(step(trainer))
    changed = [
        not np.array_equal(old, np.asarray(new))
        for old, new in zip(before, trainer.trainable_variables, strict=True)
    ]
    assert sum(changed) > len(changed) / 2
    assert len(trainer.accuracies) == trainer.exits == 2
    assert len(deployed(trainer.model, trainer.exits).outputs) == 2


def test_unknown_objective():
    with pytest.raises(ValueError, match=r"'joint'.*Received: name='sum'"):
        objectives.build("sum")


def test_arguments_that_do_not_fit_are_named_with_those_that_do():
    with pytest.raises(ValueError, match=r"'joint' must be among weights.*wei"):
        objectives.build("joint", weight=[1.0])
    with pytest.raises(ValueError, match=r"teacher, gamma.*missing.*'teacher'"):
        objectives.build("one_for_all")


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_a_file_that_is_no_model(tmp_path, name):
    def build(path):
        objectives.build(name, **{NEEDS[name]: str(path)})

    path = tmp_path / "model.keras"
    with pytest.raises(ValueError, match=rf"`{NEEDS[name]}` must be an exist"):
        build(path)
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match="that Keras can read"):
        build(path)
    x = keras.Input((3,))
    keras.Model(x, keras.layers.Dense(2)(x)).save(path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match="that Keras can read"):
        build(path)


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_something_else_than_a_model(tmp_path, name):
    layer = keras.layers.Dense(2)
    with pytest.raises(ValueError, match=r"functional keras\.Model"):
        objectives.build(name, **{NEEDS[name]: layer})
    path = tmp_path / "layer.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", json.dumps({"class_name": "Dense"}))
    with pytest.raises(ValueError, match="that Keras can read"):
        objectives.build(name, **{NEEDS[name]: str(path)})
