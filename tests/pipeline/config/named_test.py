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
def test_every_built_in_configuration_names_itself(name):
    loaded = config.load(name)
    assert loaded.name == name
    assert loaded.model.size <= loaded.data.size
    assert loaded.is_locked


def test_a_file_of_one_s_own(tmp_path):
    path = write(tmp_path / "mine.py", "config.train.epochs = 7")
    loaded = config.load(path)
    assert (loaded.name, loaded.train.epochs) == ("mine", 7)
    assert loaded.train.batch_size == config.default().train.batch_size
    assert loaded.is_locked


def test_each_load_is_a_new_one():
    first, second = (config.load("ranet_digits") for _ in range(2))
    first.train.epochs = 1
    assert second.train.epochs != 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "config.train.epoch = 3",
            "`config.train`",
        ),
        ("config.xyz = 3", "`config`"),
        (
            "config.data.fractions.tset = 0.1",
            r"config.data.fractions.tset. Did you mean .*fractions.test\?",
        ),
        ("del config.train.epochs", "Missing: config.train.epochs"),
        ("del config.policy", "Missing: config.policy"),
        ("config.policy.rule = 'none'", r"`policy\.rule`"),
        ("config.train.epochs = 0", r"`train\.epochs`"),
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


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ranet_digit", "'ranet_digits'"),
        ("ranet_cifar10", "'ranet_cifar10_model"),
        ("vgg", "'vgg_"),
        ("vg_cifar10", "'vgg_cifar10'"),
        ("resnet_cifar10_9", "'resnet_cifar10_"),
        ("rasnet_digits", "'ranet_digits'"),
    ],
)
def test_a_mistyped_name_is_told_those_of_its_family(name, hint):
    with pytest.raises(config.ConfigError) as error:
        config.load(name)
    said = str(error.value)
    assert f"Received: {name!r}. Did you mean {hint}" in said
    assert "`keras-dynamic list`" in said
    # Not all of them.
    assert sum(each in said for each in map(repr, config.names())) <= 3


@pytest.mark.parametrize("name", ["", "xyz", "nowhere/mine.py"])
def test_unknown_names(name):
    with pytest.raises(config.ConfigError, match="`config`") as error:
        config.load(name)
    assert repr(name) in str(error.value)
    assert "Did you mean" not in str(error.value)
