import ml_collections
import pytest

from keras_dynamic import exits, models, objectives
from keras_dynamic.exits.fitting import scheduler_fit
from pipeline import config, sources
from pipeline.config import schema
from pipeline.config.sections import (
    data_section,
    model_section,
    policy_section,
    stage_section,
)
from pipeline.config.setting import settings
from pipeline.data import augmentation


def changed(key, value):
    """The default configuration with another value of a key."""
    settings = config.default()
    *sections, last = key.split(".")
    with settings.unlocked(), settings.ignore_type():
        section = settings
        for name in sections:
            section = section[name]
        section[last] = value
    return settings


def test_the_default_fits():
    assert config.validated(config.default()).is_locked


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("memory_gib", 1),
        ("data.modes", ["RGB", "L"]),
        ("data.directory", "gs://bucket/photos"),
        ("data.fractions.test", 0),
        ("model.family", "my_package.nets:build"),
        ("train.milestones", ()),
        ("train.stages", ()),
        ("train.stages", [{}, {"freeze": "backbone", "learning_rate": 1}]),
        ("train.stages", ({"optimizer_arguments": {"beta_1": 0.8}},)),
        ("train.learning_rate", 1),
        ("policy.exit_ms", (0.1, 2)),
        ("check.max_points", -101.0),
        ("benchmark.others", ("other.tflite",)),
    ],
)
def test_values_that_fit(key, value):
    settings = changed(key, value)
    assert config.validated(settings) is settings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 3),
        ("seed", -1),
        ("seed", True),
        ("memory_gib", float("nan")),
        ("data.source", "dogs"),
        ("data.channels", 2),
        ("data.size", 32.0),
        ("data.fractions", dict.fromkeys(("validation", "calibration"), 0.5)),
        ("data.fractions.test", 1.0),
        ("data.modes", "RGB"),
        ("data.modes", (1,)),
        ("data.storage", "zip"),
        ("model.family", "resnext"),
        ("model.family", "my package:build"),
        ("model.classes", -1),
        ("train.objective", "separate"),
        ("train.schedule", "exponential"),
        ("train.augmentation", "mixup"),
        ("train.milestones", (0.75, 0.5)),
        ("train.rise", 1.0),
        ("train.nesterov", 1),
        ("train.weight_decay_on", "biases"),
        ("train.label_smoothing", 1.0),
        ("train.average_decay", -0.1),
        ("train.precision", "float8"),
        ("train.select", "first"),
        ("train.epochs", 0),
        ("train.optimizer", "adamx"),
        ("train.warm_up", 1.0),
        ("train.clip_norm", -1.0),
        ("train.stages", ("backbone",)),
        ("train.stages", {"freeze": "backbone"}),
        ("train.checkpoint_steps", -1),
        ("quantize.steps", -1),
        ("policy.rule", "accuracy"),
        ("policy.confidence", "certainty"),
        ("policy.risk", "cost"),
        ("policy.q", float("inf")),
        ("policy.budget", 0.0),
        ("policy.exit_ms", (2.0, 1.0)),
        ("policy.delta", 1.0),
        ("policy.scheduler.beta", 0.0),
        ("check.level", 1.5),
        ("benchmark.threads", ()),
        ("benchmark.threads", (1, 0)),
        ("benchmark.threads", (1, 1)),
        ("benchmark.starts", 0),
        ("benchmark.runs", 0),
    ],
)
def test_values_that_do_not_fit(key, value):
    settings = changed(key, value)
    if key == "data.fractions":
        settings = changed(key, value | {"test": 0.1})
    with pytest.raises(config.ConfigError) as error:
        config.validated(settings)
    assert str(error.value).startswith(f"`{key}` must be ")
    assert "Received: " in str(error.value)


def test_an_error_names_rule_choices_and_value_of_all_that_is_wrong():
    settings = changed("policy.rule", "accuracy")
    settings.train.epochs = 0
    with pytest.raises(config.ConfigError) as error:
        config.validated(settings)
    assert str(error.value) == (
        "`train.epochs` must be at least 1. Received: 0; "
        "`policy.rule` must be one of accuracy_drop, budgeted_drop, "
        "promised_drop, cost_budget, budgeted_batch, scheduler, conformal, "
        "upper_bound. "
        "Received: 'accuracy'"
    )


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"epochs": 0}, r"`train\.stages\[1\]\.epochs` must be at least 1"),
        ({"freeze": ("a",)}, r"`train\.stages\[1\]\.freeze` must be a str"),
        ({"epoch": 1}, r"Did you mean config\.train\.stages\[1\]\.epochs\?"),
        ({"precision": "float32"}, r"`config\.train\.stages\[1\]` has only"),
    ],
)
def test_a_fault_of_a_stage_is_named_with_its_number(stage, message):
    with pytest.raises(config.ConfigError, match=message):
        config.validated(changed("train.stages", ({}, stage)))


@pytest.mark.parametrize("name", ["train", "data.source_options"])
def test_a_section_must_be_a_section(name):
    message = f"`config.{name}` must be a ConfigDict. Received: 3"
    with pytest.raises(config.ConfigError, match=message):
        config.validated(changed(name, 3))


def test_arguments_for_others_are_left_to_them():
    settings = config.default()
    with settings.unlocked():
        settings.model.arguments = ml_collections.ConfigDict({"depth": 3})
        settings.data.source_options.path = "photos"
    assert config.validated(settings) is settings


def test_a_part_as_its_dataclass():
    settings = config.load("ranet_digits")
    data = config.section(schema.Data, settings.data)
    assert (data.source, data.size, data.fractions.test) == ("digits", 16, 0.2)
    assert data.source_options == {}
    settings.data.size = 0
    with pytest.raises(config.ConfigError, match=r"`data\.size`"):
        config.section(schema.Data, settings.data)


# The schema names what may be chosen without importing what carries it out.
@pytest.mark.parametrize(
    ("choices", "registered"),
    [
        (data_section.SOURCES, sources.names()),
        (model_section.FAMILIES, models.BUILDERS),
        (stage_section.OBJECTIVES, objectives.BUILDERS),
        (stage_section.AUGMENTATIONS, augmentation.names()),
        (policy_section.RULES, exits.RULES),
        (policy_section.CONFIDENCES, exits.KINDS),
        (policy_section.RISKS, exits.RISKS),
    ],
)
def test_choices_are_those_that_exist(choices, registered):
    assert sorted(choices) == sorted(registered)


def test_a_scheduler_is_learned_as_its_fit_does_unless_told_otherwise():
    known = settings(policy_section.SchedulerTraining)
    defaults = {name: each.default for name, each in known.items()}
    assert exits.Training(**defaults) == scheduler_fit.FASTER
