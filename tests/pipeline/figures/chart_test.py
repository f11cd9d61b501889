import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from pipeline.experiments import gather, published, series
from pipeline.figures import chart
from tests.support import finished_run

SVG = "{http://www.w3.org/2000/svg}"


def panels(*directories, publications=(), **options):
    runs = [gather.read(each, "float") for each in directories]
    return series.panels(
        gather.gather(runs), published.choose(publications), **options
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    found = panels(
        *(finished_run.write(root / f"a{s}", seed=s) for s in range(2)),
        finished_run.write(
            root / "b", "msdnet_cifar10_anytime", madds=(15_000_000, 90_000_000)
        ),
        finished_run.write(root / "c", "resnet_cifar10_8", madds=(12_000_000,)),
        publications=["ranet_cifar10"],
        with_best=True,
    )
    return found, ET.fromstring(chart.svg(found))


def numbers(text):
    return [tuple(map(float, pair.split(","))) for pair in text.split()]


def test_a_small_picture_that_loads_nothing(drawn):
    found, root = drawn
    text = chart.svg(found)
    assert len(text.encode()) < 200_000
    assert "href" not in text
    assert "script" not in text
    assert root.tag == f"{SVG}svg"


def test_every_line_has_its_points(drawn):
    found, root = drawn
    groups = root.findall(f"{SVG}g")
    assert len(groups) == 2
    there = [lines for lines in found.values() if lines]
    for group, lines in zip(groups, there, strict=True):
        drawn_lines = group.findall(f"{SVG}polyline")
        assert [each.find(f"{SVG}title").text for each in drawn_lines] == [
            each.name for each in lines
        ]
        for each, line in zip(drawn_lines, lines, strict=True):
            points = numbers(each.get("points"))
            assert len(points) == len(line.costs)
            x, y = zip(*points, strict=True)
            assert list(x) == sorted(x)
            # Upwards is less in a picture.
            from_worst = np.array(y)[np.argsort(line.accuracies)]
            assert (np.diff(from_worst) <= 0).all()
            assert each.get("stroke") == line.color
        assert len(group.findall(f"{SVG}polygon")) == 1


def test_exits_and_published_points_have_marks(drawn):
    _, root = drawn
    for group, circles, diamonds in zip(
        root.findall(f"{SVG}g"), (3 + 2, 0), (7, 9), strict=True
    ):
        assert len(group.findall(f"{SVG}circle")) == circles
        assert len(group.findall(f"{SVG}rect")) == 1
        paths = [each.get("fill") for each in group.findall(f"{SVG}path")]
        assert len([fill for fill in paths if fill]) == diamonds


def test_costs_are_logarithmic(drawn):
    found, root = drawn
    line = next(s for s in found["anytime"] if s.name == "ranet_cifar10_model1")
    (each,) = [
        each
        for each in root.find(f"{SVG}g").findall(f"{SVG}polyline")
        if each.find(f"{SVG}title").text == line.name
    ]
    x = [x for x, _ in numbers(each.get("points"))]
    first, second, third = map(math.log, line.costs)
    assert (x[1] - x[0]) / (x[2] - x[0]) == pytest.approx(
        (second - first) / (third - first), abs=1e-3
    )


def test_everything_is_inside(drawn):
    _, root = drawn
    _, _, width, height = map(float, root.get("viewBox").split())
    for each in root.iter():
        for name, end in (("x", width), ("cx", width), ("y", height)):
            if each.get(name) and each.tag != f"{SVG}svg":
                assert 0 <= float(each.get(name)) <= end
        for x, y in numbers(each.get("points", "")):
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_the_legend_names_every_line(drawn):
    found, root = drawn
    texts = [each.text for each in root.findall(f"{SVG}text")]
    assert texts == [each.name for each in series.legend(found)]


def test_one_point_alone(tmp_path):
    found = panels(finished_run.write(tmp_path, "resnet_digits", madds=(7000,)))
    root = ET.fromstring(chart.svg(found))
    assert len(root.findall(f"{SVG}g")) == 2
    assert len(root.findall(f".//{SVG}rect")) == 1 + 2 + 1


def test_a_panel_without_lines_is_left_out(tmp_path):
    found = panels(finished_run.write(tmp_path, calibration=False))
    assert len(ET.fromstring(chart.svg(found)).findall(f"{SVG}g")) == 1


def test_names_are_not_markup(tmp_path):
    found = panels(finished_run.write(tmp_path, overrides={"name": "<b>&'"}))
    root = ET.fromstring(chart.svg(found))
    assert root.findall(f"{SVG}text")[0].text == "<b>&'"
