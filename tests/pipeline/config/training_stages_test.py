import pytest

from pipeline import config
from pipeline.config import training_stages


def test_without_stages_the_configuration_is_the_only_one():
    settings = config.load("ranet_digits")
    assert training_stages.of(settings) == (settings,)
    assert training_stages.key(settings, 0, "freeze") == "train.freeze"


def test_a_stage_takes_from_train_what_it_does_not_say():
    settings = config.overridden(
        config.load("ranet_digits"),
        [
            "train.learning_rate=0.3",
            "train.stages=({'epochs': 2, 'freeze': 'backbone'}, {'size': 8})",
        ],
    )
    before = settings.to_dict()
    first, second = training_stages.of(settings)
    assert settings.to_dict() == before
    assert (first.train.epochs, first.train.freeze) == (2, "backbone")
    assert (second.train.epochs, second.train.freeze) == (30, "")
    assert (first.train.size, second.train.size) == (0, 8)
    for each in (first, second):
        assert each.is_locked
        assert each.train.stages == ()
        assert each.train.learning_rate == 0.3
        assert each.model == settings.model
        config.validated(each)
    assert training_stages.key(settings, 0, "freeze") == (
        "train.stages[0].freeze"
    )
    assert training_stages.key(settings, 1, "freeze") == "train.freeze"


@pytest.mark.parametrize(
    ("stage", "options"),
    [
        ({}, {"pixels": 1}),
        ({"augmentation": "shift"}, {"pixels": 1}),
        ({"augmentation": "none"}, {}),
        ({"augmentation_options": {"pixels": 2}}, {"pixels": 2}),
        (
            {
                "augmentation": "crop_flip",
                "augmentation_options": {"cutout": 3},
            },
            {"cutout": 3},
        ),
    ],
)
def test_arguments_stay_with_their_name(stage, options):
    settings = config.load("ranet_digits")
    settings.train.stages = (stage,)
    [found] = training_stages.of(config.validated(settings))
    assert found.train.augmentation_options.to_dict() == options
    config.validated(found)


def test_files_of_every_stage_are_named_apart():
    settings = config.load("ranet_digits")
    alone = training_stages.arguments(settings)
    assert alone["initial_weights"] == ""
    settings.train.stages = (
        {},
        {"objective_arguments": {"teacher": "a.keras"}},
    )
    found = training_stages.arguments(settings)
    assert found.items() >= alone.items()
    given = found["stages[1].objective_arguments"]
    assert given == {"teacher": "a.keras"}
