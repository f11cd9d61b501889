import pytest

from pipeline import config


@pytest.mark.parametrize(
    "name",
    [
        "train.epochs",
        "name",
        "train.milestones[0]",
        "data.source_options.path",
        "model.arguments.step",
        "model.arguments.preview.family",
    ],
)
def test_what_may_be_overridden(name):
    config.check_override(name)


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
        ("seed.value", "`config.seed`"),
        ("data.fractions.tset", r"Did you mean config.data.fractions.test\?"),
    ],
)
def test_what_may_not_be_overridden(name, message):
    settings = config.load("ranet_digits")
    with pytest.raises(config.ConfigError, match=message):
        config.check_override(name)
    with pytest.raises(config.ConfigError, match=message):
        config.overridden(settings, [f"{name}=1"])


def test_values_are_read_as_their_keys_hold_them():
    settings = config.overridden(
        config.default(),
        [
            "train.epochs=7",
            "train.learning_rate=1",
            "train.nesterov=true",
            "train.milestones=(0.3, 0.6)",
            "data.modes=('RGB',)",
            "model.family=my_package.nets:build",
            "name=12",
        ],
    )
    assert settings.train.epochs == 7
    assert settings.train.learning_rate == 1.0
    assert settings.train.nesterov is True
    assert settings.train.milestones == (0.3, 0.6)
    assert settings.data.modes == ("RGB",)
    assert settings.model.family == "my_package.nets:build"
    assert settings.name == "12"
    assert settings.is_locked


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("8", 8),
        ("0.5", 0.5),
        ("true", True),
        ("None", None),
        ("(1, 2)", (1, 2)),
        ("photos/new", "photos/new"),
        ("a=b,c", "a=b,c"),
        ("", ""),
    ],
)
def test_a_key_is_added_to_an_open_section(value, read):
    settings = config.overridden(
        config.default(), [f"data.source_options.path={value}"]
    )
    assert settings.data.source_options.path == read
    assert type(settings.data.source_options.path) is type(read)


def test_sections_are_added_within_an_open_one():
    settings = config.overridden(
        config.default(),
        [
            "model.arguments.preview.family=resnet",
            "model.arguments.preview.blocks=1",
            "model.arguments.bases=4",
        ],
    )
    assert settings.model.arguments.to_dict() == {
        "preview": {"family": "resnet", "blocks": 1},
        "bases": 4,
    }


def test_a_value_that_was_none_gets_one():
    settings = config.load("ranet_imagenet_model1")
    assert settings.model.arguments.head_width is None
    settings = config.overridden(settings, ["model.arguments.head_width=32"])
    assert settings.model.arguments.head_width == 32


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs=x", "invalid literal for int"),
        ("train.epochs", "`overrides`"),
        ("train.epochs=0", r"`train\.epochs`"),
        ("policy.rule=none", r"`policy\.rule`"),
        ("train=3", "train"),
        ("model.arguments.a-b=3", "model.arguments.a-b"),
        ("model.arguments.step.x=3", "model.arguments.step.x"),
        ("train.milestones[0]=0.3", "tuple"),
    ],
)
def test_overrides_that_do_not_fit(override, message):
    with pytest.raises(config.ConfigError, match=message):
        config.overridden(config.load("ranet_digits"), [override])


def test_another_family_begins_without_arguments():
    settings = config.overridden(
        config.load("photos"),
        ["model.arguments.path=own.keras", "model.family=keras_file"],
    )
    assert settings.model.arguments.to_dict() == {"path": "own.keras"}
    settings = config.overridden(
        config.load("photos"), ["model.family=efficientnet_lite"]
    )
    assert settings.model == config.load("photos").model
