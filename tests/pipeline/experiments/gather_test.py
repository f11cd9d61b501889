import json

import pytest

from pipeline.experiments import gather
from pipeline.results import metrics_file
from pipeline.results.layout import Layout
from tests.support import finished_run


def gathered(*directories, kind="float"):
    return gather.gather([gather.read(each, kind) for each in directories])


def test_a_run_is_what_was_measured(tmp_path):
    directory = finished_run.write(tmp_path / "a", seed=3)
    found = gather.read(directory, "int8")
    curves = metrics_file.read(directory / "metrics.json")["curves"]["int8"]
    assert found.workdir == directory
    assert found.seed == 3
    for name in gather.CURVES:
        points = curves[name]["points"]
        assert found.areas[name] == curves[name]["area"]
        assert list(found.test[name].costs) == [p["madds"] for p in points]
        assert list(found.calibration[name].accuracies) == [
            p["calibration_accuracy"] for p in points
        ]
        # Over the whole range it is the area that was noted.
        low, high = finished_run.MADDS[0], finished_run.MADDS[-1]
        assert found.area(name, low, high) == pytest.approx(found.areas[name])


def test_without_calibration_there_is_one_curve(tmp_path):
    directory = finished_run.write(tmp_path / "a", calibration=False)
    found = gather.read(directory, "float")
    assert list(found.test) == ["anytime"]
    assert found.calibration == {}


def test_seeds_of_one_experiment(tmp_path):
    found = gathered(
        finished_run.write(tmp_path / "a", seed=2),
        finished_run.write(tmp_path / "other", overrides={"train.epochs": 3}),
        # What does not change the answers makes no other experiment.
        finished_run.write(
            tmp_path / "b",
            seed=1,
            overrides={
                "benchmark.runs": 5,
                "memory_gib": 1.0,
                "data.directory": "elsewhere",
            },
        ),
    )
    assert [[run.seed for run in each.runs] for each in found] == [[1, 2], [0]]
    assert [each.label for each in found] == [
        "ranet_cifar10_model1 train.epochs=300",
        "ranet_cifar10_model1 train.epochs=3",
    ]
    assert [each.epochs for each in found] == [300, 3]
    assert found[0].family == "ranet"
    assert found[0].madds == finished_run.MADDS
    assert not found[0].is_static


def test_a_label_names_what_differs(tmp_path):
    names = ("ranet_cifar10_model1", "ranet_cifar10_model3", "resnet_cifar10_8")
    found = gathered(
        *(finished_run.write(tmp_path / name, name) for name in names)
    )
    assert [each.label for each in found] == list(names)
    many = {
        "train.epochs": 3,
        "train.learning_rate": 0.5,
        "train.momentum": 0.8,
        "train.schedule": "cosine",
    }
    first, second = gathered(
        finished_run.write(tmp_path / "a"),
        finished_run.write(tmp_path / "b", overrides=many),
    )
    assert second.label.startswith("ranet_cifar10_model1 train.")
    assert second.label.endswith(" and 1 more")
    assert first.label != second.label
    # Not if what tells two of them apart were left out.
    third = finished_run.write(
        tmp_path / "c", overrides=many | {"train.weight_decay": 0.5}
    )
    found = gathered(tmp_path / "a", tmp_path / "b", third)
    assert len({each.label for each in found}) == 3
    assert "train.weight_decay=0.5" in found[2].label


def test_settings_that_an_older_configuration_lacks(tmp_path):
    old = finished_run.write(tmp_path / "old")
    path = Layout(old).config
    settings = json.loads(path.read_text())
    del settings["train"]["precision"]
    path.write_text(json.dumps(settings))
    first, second = gathered(old, finished_run.write(tmp_path / "new"))
    assert first.label == "ranet_cifar10_model1 train.precision=unset"
    assert second.label == "ranet_cifar10_model1 train.precision=float32"


@pytest.mark.parametrize(
    ("name", "overrides", "title"),
    [
        ("ranet_cifar10_model1", {}, "CIFAR-10"),
        ("msdnet_imagenet_step4", {}, "ImageNet"),
        ("ranet_digits", {}, "digits"),
        (
            "ranet_cifar10_model1",
            {"name": "photos", "data.source_options.path": "/data/cats/"},
            "image_folder cats",
        ),
    ],
)
def test_what_the_data_set_is_called(tmp_path, name, overrides, title):
    (found,) = gathered(finished_run.write(tmp_path, name, overrides=overrides))
    assert found.dataset == title


def test_one_exit_is_static(tmp_path):
    (found,) = gathered(
        finished_run.write(tmp_path, "resnet_digits", madds=(7,))
    )
    assert found.is_static
    assert list(found.runs[0].test) == ["anytime"]


def test_the_same_seed_twice(tmp_path):
    a, b = (finished_run.write(tmp_path / name) for name in "ab")
    with pytest.raises(ValueError, match=r"`workdirs`") as caught:
        gathered(a, b)
    assert str(a) in str(caught.value)
    assert str(b) in str(caught.value)


def test_with_gates_each_seed_has_its_own_costs(tmp_path):
    directories = [
        finished_run.write(
            tmp_path / f"{seed}",
            "lcnet_cifar10_layers",
            seed=seed,
            madds=(cost,),
            gated=True,
        )
        for seed, cost in enumerate((40_000_000, 50_000_000))
    ]
    [found] = gathered(*directories)
    assert [run.gated for run in found.runs] == [True, True]


def test_seeds_with_other_costs(tmp_path):
    a = finished_run.write(tmp_path / "a")
    b = finished_run.write(tmp_path / "b", seed=1, madds=(1, 2, 3))
    with pytest.raises(ValueError, match="exits of the same cost"):
        gathered(a, b)
    c = finished_run.write(tmp_path / "c", seed=2, calibration=False)
    with pytest.raises(ValueError, match="must have the same curves"):
        gathered(a, c)


def spoil(directory, what):
    layout = Layout(directory)
    if what == "directory":
        directory.rename(directory.parent / "elsewhere")
    elif what in ("metrics", "config"):
        getattr(layout, what).unlink()
    else:
        found = metrics_file.read(layout.metrics)
        if what == "curves":
            del found["curves"]
        else:
            del found["curves"][what]
        metrics_file.write(layout.metrics, found)


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        ("directory", "float", "`workdirs`"),
        ("metrics", "float", r"metrics\.json .*`keras-dynamic evaluate` with"),
        ("config", "int8", r"config\.json .*`keras-dynamic convert` with"),
        ("curves", "float", "no curves of the float .*`keras-dynamic evaluate"),
        ("int8", "int8", "no curves of the int8 .*`keras-dynamic convert`"),
    ],
)
def test_what_is_missing_is_named(tmp_path, what, kind, message):
    directory = finished_run.write(tmp_path / "a")
    spoil(directory, what)
    with pytest.raises(ValueError, match=message) as caught:
        gather.read(directory, kind)
    assert str(directory) in str(caught.value)
