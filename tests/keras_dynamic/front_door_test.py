import pkgutil
import subprocess
import sys

import pytest

import keras_dynamic as kd


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == 0
    return done.stdout.split()


# An import of None fails, as if it were not installed.
WITHOUT_KERAS = "import sys; sys.modules.update(keras=None, tensorflow=None)\n"


def test_policies_need_numpy_alone():
    code = WITHOUT_KERAS + (
        "import keras_dynamic as kd\n"
        "policy = kd.exits.last_exit([1.0, 1.0])\n"
        "print(policy.exits, *sys.modules)"
    )
    exits, *modules = run(code)
    assert exits == "2"
    heavy = {"absl", "apache_beam", "tf_keras", "keras_dynamic.graph"}
    assert heavy.isdisjoint(modules)


@pytest.mark.parametrize("name", ["Trainer", "exit_costs", "gating", "models"])
def test_other_names_say_what_they_need(name):
    code = WITHOUT_KERAS + (
        "import keras_dynamic as kd\n"
        "try:\n"
        f"    kd.{name}\n"
        "except ImportError as error:\n"
        "    print(error.name)"
    )
    assert run(code) == ["keras"]


def test_every_name_is_there():
    assert set(kd.__all__) <= set(dir(kd))
    for name in kd.__all__:
        assert getattr(kd, name).__name__.rpartition(".")[2] == name


def test_no_name_is_a_submodule_s_and_means_something_else():
    rooms = {module.name for module in pkgutil.iter_modules(kd.__path__)}
    for name in rooms & set(kd.__all__):
        assert getattr(kd, name).__name__ == f"keras_dynamic.{name}"


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="trainer"):
        _ = kd.trainer
