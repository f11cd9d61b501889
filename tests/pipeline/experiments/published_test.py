import itertools

import pytest

from pipeline import config
from pipeline.experiments import published


@pytest.mark.parametrize(
    "each", published.load().values(), ids=published.load()
)
def test_the_numbers_are_plausible(each):
    assert each.dataset in published.DATASETS
    assert each.family in ("ranet", "msdnet")
    assert each.objective in ("joint", "boosted")
    assert set(each.curves) == set(each.notes) == {"anytime", "budgeted_batch"}
    low, high = {
        "cifar10": (0.89, 0.95),
        "cifar100": (0.60, 0.77),
        "imagenet": (0.62, 0.77),
    }[each.dataset]
    costs = (4e8, 4e9) if each.dataset == "imagenet" else (1e7, 1.3e8)
    for points in each.curves.values():
        assert len(points) >= 4
        for before, point in itertools.pairwise(points):
            assert before.madds < point.madds
            # Of ten exits one may be a little worse than the one before.
            assert point.accuracy > before.accuracy - 0.005
        assert all(costs[0] <= point.madds <= costs[1] for point in points)
        assert all(low <= point.accuracy <= high for point in points)
        assert points[-1].accuracy > points[0].accuracy
    assert all("read from figures" in note for note in each.notes.values())
    assert "best of several models" in each.notes["budgeted_batch"]


def test_some_numbers_of_the_figures():
    ranet = published.load()["ranet_cifar10"]
    assert ranet.curves["anytime"][0] == published.Point(15.8e6, 0.9134, False)
    assert ranet.curves["budgeted_batch"][-1].accuracy == pytest.approx(0.9419)
    retrained = published.load()["msdnet_cifar100_retrained"]
    assert [p.by_eye for p in retrained.curves["anytime"]].count(True) == 1
    last = published.load()["boosted_msdnet_cifar100"].curves["anytime"][-1]
    assert (last.madds, last.accuracy) == (121.7e6, pytest.approx(0.7631))


def test_a_label_says_what_differs():
    assert published.load()["ranet_cifar10"].label == (
        "RANet, RANet paper, CIFAR-10 (original images), 300 epochs; "
        "read from figures, "
        "±0.05 points"
    )
    labels = [each.label for each in published.load().values()]
    assert len(set(labels)) == len(labels)
    assert "epochs not stated" in published.load()["ranet_imagenet"].label


def test_names_are_chosen_in_order():
    names = ["msdnet_cifar10", "ranet_cifar10"]
    assert [each.name for each in published.choose(names)] == names
    with pytest.raises(ValueError, match=r"`published`"):
        published.choose(["ranet_cifar10", "x"])


@pytest.mark.parametrize(
    ("objective", "names"),
    [
        ("joint", ["ranet_cifar100", "ranet_cifar100_retrained"]),
        (
            "boosted",
            [
                "ranet_cifar100",
                "ranet_cifar100_retrained",
                "boosted_ranet_cifar100",
            ],
        ),
        ("zero_time_waste", ["ranet_cifar100", "ranet_cifar100_retrained"]),
    ],
)
def test_what_matches_an_experiment(objective, names):
    found = published.matching("ranet", objective, "cifar100")
    assert [each.name for each in found] == names
    assert published.matching("ranet", objective, "") == []
    assert published.matching("resnet", objective, "cifar10") == []


def test_the_data_set_follows_from_the_configuration():
    for name in config.names():
        parts = {"cifar100", "cifar10", "imagenet"} & set(name.split("_"))
        assert published.dataset_of(name) == "".join(parts)
    assert published.dataset_of("photos") == ""
    assert published.dataset_of("cifar1000_x") == ""
