import csv
import re

import pytest

from pipeline.experiments import gather
from pipeline.experiments.differences import COLUMNS, differences
from pipeline.pages import compare
from tests.support import finished_run
from tests.support.html_page import Page


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory):
    """Two experiments of three seeds each, and two static models."""
    root = tmp_path_factory.mktemp("runs")
    boosted = {"train.objective": "boosted", "train.epochs": 30}
    joint = {"train.epochs": 30}
    return [
        *(
            finished_run.write(root / f"a{s}", seed=s, overrides=joint)
            for s in range(3)
        ),
        *(
            finished_run.write(
                root / f"b{s}", seed=s + 10, strength=3.0, overrides=boosted
            )
            for s in range(3)
        ),
        finished_run.write(
            root / "small", "resnet_cifar10_8", madds=(12_000_000,)
        ),
        finished_run.write(
            root / "far", "resnet_cifar10_20", madds=(90_000_000,)
        ),
    ]


@pytest.fixture(scope="module")
def output(workdirs, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "comparison"
    return compare.compare(
        workdirs, path, publications=["ranet_cifar10"], with_best=True
    )


@pytest.fixture(scope="module")
def source(output):
    return (output / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source):
    return Page(source)


JOINT = "ranet_cifar10_model1 train.objective=joint"
BOOSTED = "ranet_cifar10_model1 train.objective=boosted"


def test_a_directory_of_others_is_refused(workdirs, tmp_path):
    output = tmp_path / "comparison"
    compare.compare(workdirs[:1], output)
    compare.compare(workdirs[:1], output)
    (output / "notes.md").write_text("mine")
    with pytest.raises(ValueError, match=r"`path`"):
        compare.compare(workdirs[:1], output)
    assert (output / "notes.md").read_text() == "mine"


def test_what_is_written(output, source, page):
    assert sorted(path.name for path in output.iterdir()) == [
        "comparison.csv",
        "comparison.svg",
        "index.html",
    ]
    assert (output / "comparison.svg").stat().st_size < 200_000
    assert (output / "index.html").stat().st_size < 6_000_000
    assert {address.split(":")[0] for address in page.loaded} == {"data"}
    assert not re.search(r"url\(|@import", source.split("</style>")[0])
    assert "None" not in page.text
    assert "Undefined" not in page.text


def test_the_figures_have_every_line(page, workdirs):
    runs = [gather.read(each, "float") for each in workdirs]
    for figure, best in (
        ("anytime", []),
        ("budgeted-batch", ["best of these"]),
    ):
        traces = page.figures[figure]["data"]
        bands = [each for each in traces if "name" not in each]
        assert [each["legendgroup"] for each in bands] == [JOINT, BOOSTED]
        lines = traces[len(bands) :]
        assert [each["name"] for each in lines] == [
            *best,
            "RANet, RANet paper, CIFAR-10 (original images), 300 epochs; "
            "read from figures, "
            "±0.05 points",
            JOINT,
            BOOSTED,
            "static resnet, 300 epochs",
        ]
        assert lines[-1]["x"] == [12_000_000, 90_000_000]
    (joint,) = [
        each
        for each in page.figures["anytime"]["data"]
        if each.get("name") == JOINT
    ]
    mean = sum(run.test["anytime"].accuracies[0] for run in runs[:3]) / 3
    assert joint["y"][0] == pytest.approx(100 * mean)


def test_the_legend_hides_lines_by_their_name(source, page):
    boxes = re.findall(r'data-series="([^"]*)"', source.split("<script>")[0])
    groups = {
        trace["legendgroup"]
        for figure in page.figures.values()
        for trace in figure["data"]
    }
    assert set(boxes) == groups
    assert len(boxes) == len(groups)


def test_the_tables(page, workdirs):
    listed, exits, compared = page.tables
    # Nothing was timed.
    assert "Not measured: keras-dynamic benchmark does it." in page.text
    assert [row[0] for row in listed[1:]] == [
        JOINT,
        BOOSTED,
        "resnet_cifar10_8",
        "resnet_cifar10_20",
    ]
    assert listed[1][1:6] == [
        "CIFAR-10", "ranet", "30", "0, 1, 2", "8 M to 50 M"
    ]  # fmt: skip
    assert listed[3][3:] == ["300", "0", "12 M", "–", "–"]
    gathered = gather.gather([gather.read(each, "float") for each in workdirs])
    areas = [run.areas["budgeted_batch"] for run in gathered[0].runs]
    mean = sum(areas) / 3
    assert listed[1][7].split("%")[0].strip() == f"{100 * mean:.2f}"
    assert f"{100 * min(areas):.2f} to {100 * max(areas):.2f}" in listed[1][7]
    assert [len(row) for row in exits] == [4, 4, 4, 2, 2]

    assert [row[:2] for row in compared[1:]] == [
        [BOOSTED, JOINT],
        ["resnet_cifar10_8", JOINT],
        ["resnet_cifar10_20", JOINT],
    ]
    found = differences(gathered)
    assert compared[1][2] == "8 M to 50 M"
    gain = found[0].gains["anytime"]
    assert f"+{100 * gain.mean:.2f}" in compared[1][3]
    assert "beyond the seeds (by chance 1 in 10)" in compared[1][3]
    assert compared[2][2] == "12 M"
    assert "a single seed" in compared[2][4]
    assert compared[3][2] == "no range that both cover"


def test_published_curves_say_what_differs(page):
    assert "300 epochs; read from figures, ±0.05 points" in page.text
    assert "Yang et al., RANet, CVPR 2020" in page.text
    assert "also count ReLU, pooling and biases" in page.text


def test_the_csv_has_all_numbers(output, workdirs):
    with open(output / "comparison.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 2 * (3 + 1 + 39 + 1) + 2 * (1 + 1)
    assert {row["seeds"] for row in rows} == {"3", "1"}
    for row in rows:
        assert float(row["min"]) <= float(row["mean"]) <= float(row["max"])


def test_the_int8_models(tmp_path):
    workdir = finished_run.write(tmp_path / "a")
    output = compare.compare([workdir], tmp_path / "out", kind="int8")
    page = Page((output / "index.html").read_text())
    assert "Test accuracy of the int8 models on CIFAR-10" in page.text
    expected = gather.read(workdir, "int8").test["anytime"].accuracies
    (trace,) = page.figures["anytime"]["data"]
    assert trace["y"] == pytest.approx([100 * each for each in expected])


def test_different_data_sets_are_labelled(tmp_path):
    output = compare.compare(
        [
            finished_run.write(tmp_path / "a"),
            finished_run.write(tmp_path / "b", "ranet_digits"),
        ],
        tmp_path / "out",
    )
    page = Page((output / "index.html").read_text())
    assert "these are different data sets" in page.text
    names = [each["name"] for each in page.figures["anytime"]["data"]]
    assert names == ["ranet_cifar10_model1, CIFAR-10", "ranet_digits, digits"]
    assert len(page.tables) == 2  # Nothing to compare.


def test_one_static_model_and_no_calibration(tmp_path):
    output = compare.compare(
        [
            finished_run.write(
                tmp_path / "a", "resnet_cifar10_8", madds=(7000,)
            ),
            finished_run.write(tmp_path / "b", calibration=False),
        ],
        tmp_path / "out",
    )
    page = Page((output / "index.html").read_text())
    assert page.tables[0][2][7] == "not measured"
    assert len(page.figures["budgeted-batch"]["data"]) == 1


def test_names_are_not_markup(tmp_path):
    name = "<b>'x'</b>"
    output = compare.compare(
        [finished_run.write(tmp_path / "a", overrides={"name": name})],
        tmp_path / "out",
    )
    page = Page((output / "index.html").read_text())
    assert "b" not in page.tags
    assert name in page.text
    (trace,) = page.figures["anytime"]["data"]
    assert "<b>" not in trace["name"] + trace["hovertemplate"]


def test_nothing_is_left_of_a_failure(tmp_path, workdirs):
    with pytest.raises(ValueError, match="`published`"):
        compare.compare(workdirs, tmp_path / "out", publications=["x"])
    with pytest.raises(ValueError, match="`workdirs`"):
        compare.compare([tmp_path / "none"], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """A network with exits, twice as slow as a static one for its work."""
    root = tmp_path_factory.mktemp("timed")
    exits = finished_run.write(root / "exits")
    static = finished_run.write(
        root / "static", "resnet_cifar10_8", madds=(50_000_000,)
    )
    finished_run.add_times(exits, (0.5, 1.0, 2.0), processor="<one>")
    finished_run.add_times(static, (1.0,), processor="<one>")
    return exits, static


def test_milliseconds_stand_beside_multiply_adds(timed, tmp_path):
    output = compare.compare(timed, tmp_path / "out")
    page = Page((output / "index.html").read_text())
    traces = page.figures["milliseconds"]["data"]
    exits, star, static = traces
    # 1 ms of each call was no segment's.
    assert exits["x"] == pytest.approx([1.5, 2.0, 3.0])
    assert star["x"] == pytest.approx([2.25])
    assert star["marker"]["symbol"] == "star"
    assert static["x"] == pytest.approx([2.0])
    rows = page.named["times"][2:]
    assert [row[2] for row in rows] == ["2.250", "2.000"]
    # The unsplit models take 3 ms and 2 ms for the same count.
    assert [row[5] for row in rows] == ["0.060", "0.040"]
    assert "1.250exit 2:" in " ".join(rows[0][4].split())
    assert rows[1][4] == "–"
    assert "<one>" in rows[0][6]
    assert "A multiply-add of one family is not one of another" in page.text
    assert "on different machines" not in page.text
    with open(output / "comparison.csv", newline="") as file:
        found = [
            (row["measure"], row["point"], float(row["mean"]))
            for row in csv.DictReader(file)
            if "milliseconds" in row["measure"]
        ]
    assert found == [
        ("milliseconds", "0", pytest.approx(1.5)),
        ("milliseconds", "1", pytest.approx(2.0)),
        ("milliseconds", "2", pytest.approx(3.0)),
        ("routed_milliseconds", "", pytest.approx(2.25)),
        ("milliseconds", "0", pytest.approx(2.0)),
        ("routed_milliseconds", "", pytest.approx(2.0)),
    ]


def test_machines_that_differ_are_named(timed, tmp_path):
    other = finished_run.write(tmp_path / "other", "ranet_cifar10_model2")
    finished_run.add_times(other, (0.5, 1.0, 2.0), processor="another")
    untimed = finished_run.write(tmp_path / "untimed", "msdnet_cifar10_anytime")
    output = compare.compare([*timed, other, untimed], tmp_path / "out")
    page = Page((output / "index.html").read_text())
    assert "on different machines" in page.text
    assert "Not measured: msdnet_cifar10_anytime." in page.text


def test_accuracies_have_their_interval(timed, tmp_path):
    output = compare.compare(timed[:1], tmp_path / "out")
    page = Page((output / "index.html").read_text())
    (exits, *_) = page.tables[1:]
    for cell in exits[1][1:]:
        accuracy, low, high = map(
            float,
            re.fullmatch(
                r"\s*([\d.]+) %\s*([\d.]+) to ([\d.]+) %\s*", cell
            ).groups(),
        )
        assert low < accuracy < high
