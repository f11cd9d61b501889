import json

import pytest

from keras_dynamic.exits.decision.policy import Policy, Scheduler
from tests.support.bundle_directory import edit, parts, plain
from tflite import bundle

POINTS = {"fast": plain(0.2, 0.1, 0.0), "a-1_b": plain(0.9, 0.8, 0.0)}


def test_operating_points_are_kept_beside_the_policy(tmp_path, write_bundle):
    written = write_bundle(tmp_path, parts(3), operating_points=POINTS)
    again = bundle.read(str(tmp_path))
    assert again == written
    assert again.operating_points == POINTS
    assert again.policy == plain(0.3, 0.3, 0.0)
    values = json.loads((tmp_path / "manifest.json").read_text())
    assert list(values)[-1] == "operating_points"
    assert values["operating_points"]["fast"] == POINTS["fast"].to_dict()


def test_the_order_of_operating_points_changes_no_byte(tmp_path, write_bundle):
    turned = dict(reversed(POINTS.items()))
    for name, points in (("a", POINTS), ("b", turned)):
        write_bundle(tmp_path / name, parts(3), operating_points=points)
    first, second = (
        (tmp_path / name / "bundle.zip").read_bytes() for name in ("a", "b")
    )
    assert first == second


def test_without_operating_points_there_is_no_key(tmp_path, write_bundle):
    write_bundle(tmp_path, parts(3), operating_points={})
    assert "operating_points" not in (tmp_path / "manifest.json").read_text()
    assert bundle.read(str(tmp_path)).operating_points == {}


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "operating_points` must be an object"),
        ({"Fast": plain(0.5, 0.0).to_dict()}, "`name` must be of a-z"),
        ({"": plain(0.5, 0.0).to_dict()}, "`name` must be of a-z"),
        ({"../x": plain(0.5, 0.0).to_dict()}, "`name` must be of a-z"),
        ({"fast\n": plain(0.5, 0.0).to_dict()}, "`name` must be of a-z"),
        ({"fast": None}, "`operating_points.fast` is not valid"),
        ({"fast": {"kind": "margin"}}, "`operating_points.fast` is not valid"),
        (
            {"fast": plain(0.5, 0.5, 0.0).to_dict()},
            "`operating_points.fast` must have 2 exits.*Received: 3",
        ),
    ],
)
def test_bad_operating_points_are_refused(directory, points, message):
    edit(directory, operating_points=points)
    with pytest.raises(bundle.InvalidBundle, match=message):
        bundle.read(str(directory))


def learned(classes):
    weights = [[1 / 3] * (classes + 2 + k) for k in range(3)]
    return Policy(
        kind="scheduler",
        temperatures=(1.0,) * 3,
        thresholds=(0.7, 0.6, 0.0),
        enabled=(True,) * 3,
        scheduler=Scheduler(weights, [0.1, 0.2, 0.3]),
        fitted={"rule": "upper_bound", "epsilon": 0.01, "bound": 0.008},
    )


def test_a_learned_policy_and_where_it_comes_from_are_kept(
    tmp_path, write_bundle
):
    write_bundle(tmp_path, parts(3), policy=learned(5))
    assert bundle.read(str(tmp_path)).policy == learned(5)


def test_a_scheduler_must_be_of_as_many_classes(tmp_path, write_bundle):
    with pytest.raises(bundle.InvalidBundle, match=r"of 5 classes.*: 4"):
        write_bundle(tmp_path, parts(3), policy=learned(4))


def test_so_must_that_of_an_operating_point(tmp_path, write_bundle):
    with pytest.raises(bundle.InvalidBundle, match=r"`operating_points.f.sch"):
        write_bundle(tmp_path, parts(3), operating_points={"f": learned(4)})
