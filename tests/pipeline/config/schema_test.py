import ml_collections
import pytest

from pipeline import config


def write(path, *lines: str) -> str:
    """A file whose `get_config` runs `lines` on the default configuration."""
    body = "".join(f"        {line}\n" for line in lines)
    path.write_text(
        "from pipeline.config import default\n\n\n"
        "def get_config():\n"
        "    config = default()\n"
        "    with config.unlocked():\n"
        f"        config.name = 'mine'\n{body}"
        "    return config\n"
    )
    return str(path)


@pytest.mark.parametrize("name", config.names())
def test_every_built_in_configuration_fits_and_names_itself(name):
    loaded = config.load(name)
    assert loaded.name == name
    assert loaded.model.size <= loaded.data.size
    assert loaded.is_locked


def test_names_are_those_of_the_files():
    assert "ranet_digits" in config.names()
    assert len(config.names()) == 97
    for name in config.names():
        assert config.path_of(name).stem == name


def test_a_file_of_one_s_own(tmp_path):
    path = write(tmp_path / "mine.py", "config.train.epochs = 7")
    loaded = config.load(path)
    assert (loaded.name, loaded.train.epochs) == ("mine", 7)
    assert loaded.train.batch_size == config.default().train.batch_size


def test_each_load_is_a_new_one():
    first, second = (config.load("ranet_digits") for _ in range(2))
    first.train.epochs = 1
    assert second.train.epochs != 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "config.train.epoch = 3",
            r"`config.train` has only the keys .*epochs.* "
            r"Received: config.train.epoch. Did you mean config.train.epochs\?",
        ),
        ("config.xyz = 3", r"`config` has only.*Received: config.xyz.$"),
        (
            "config.data.fractions.tset = 0.1",
            r"config.data.fractions.tset. Did you mean .*fractions.test\?",
        ),
        ("del config.train.epochs", "Missing: config.train.epochs"),
        ("del config.policy", "Missing: config.policy"),
        # ConfigDict itself looks at types.
        ("config.train.epochs = 'ten'", "TypeError: .*'epochs'"),
        ("config.train = 3", "TypeError: .*'train'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path, line, message):
    with pytest.raises(config.ConfigError, match=message):
        config.load(write(tmp_path / "mine.py", line))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "KeyError: 'get_config'"),
        ("def get_config(:\n", "SyntaxError: .*mine.py, line 1"),
        ("import no_such_module\n", "ModuleNotFoundError: .*no_such_module"),
        (
            "def get_config():\n    return None\n",
            "a ConfigDict. Received: None",
        ),
        ("def get_config():\n    return {}\n", "a ConfigDict. Received: {}"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path, text, message):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(config.ConfigError, match=message) as caught:
        config.load(str(path))
    assert "\n" not in str(caught.value)


def test_a_section_must_be_a_section():
    changed = config.default()
    with changed.unlocked():
        del changed.train
        changed.train = 3
    message = "`config.train` must be a ConfigDict. Received: 3"
    with pytest.raises(config.ConfigError, match=message):
        config.validated(changed)


def test_arguments_for_others_are_left_to_them():
    changed = config.default()
    with changed.unlocked():
        changed.model.arguments = ml_collections.ConfigDict({"depth": 3})
        changed.data.source_options.path = "photos"
    assert config.validated(changed) is changed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ranet_digit", "Received: 'ranet_digit'. Did you mean 'ranet_digits'"),
        ("vgg", "one of .*ranet_digits.*Received: 'vgg'.$"),
        ("_ranet", "Received: '_ranet'"),
        ("nowhere/mine.py", "`config` must be a file. .*'nowhere/mine.py'"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(config.ConfigError, match=message):
        config.load(name)


@pytest.mark.parametrize(
    "name",
    [
        "train.epochs",
        "name",
        "train.milestones[0]",
        "data.source_options.path",
        "model.arguments.step",
    ],
)
def test_what_may_be_overridden(name):
    config.check_override(config.load("ranet_cifar10_model1"), name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "train.epoch",
            r"config.train.epoch. Did you mean config.train.epochs",
        ),
        (
            "trian.epochs",
            r"Received: config.trian. Did you mean config.train\?",
        ),
        ("seed.value", "`config.seed` is a value and has no keys"),
        ("data.source_options.path", r"only the keys \(none\)"),
        (
            "model.arguments.steps",
            r"Did you mean config.model.arguments.step\?",
        ),
    ],
)
def test_what_may_not_be_overridden(name, message):
    with pytest.raises(config.ConfigError, match=message):
        config.check_override(config.load("ranet_digits"), name)
