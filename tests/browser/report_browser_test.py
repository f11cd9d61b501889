"""The report, used in a browser: `make test-browser`."""

import itertools
import json

import numpy as np
import pytest

from keras_dynamic import exits
from pipeline import config
from pipeline.data import dataset
from pipeline.figures import page, trade_off
from pipeline.pages import report
from pipeline.results import call_times, predictions

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def said(finished):
    return predictions.load(finished.predictions, "test")


def shown(reader) -> dict:
    """All numbers that move with the sliders."""
    leave = reader.page.evaluate(
        "[...document.querySelectorAll('#leave tbody tr')].map((row) => "
        "[2, 3, 4].map((i) => Number(row.cells[i].dataset.value)))"
    )
    shares, counts, wrong = zip(*leave, strict=True)
    matrix = [
        [0 if text == "·" else int(text) for text in row[1:]]
        for row in reader.rows("confusion-table")
    ]
    return {
        "accuracy": reader.value("#now-accuracy"),
        "madds": reader.value("#now-madds"),
        "shares": shares,
        "counts": counts,
        "wrong": wrong,
        "confusion": matrix,
    }


def computed(policy, said, metrics) -> dict:
    """The same, by Python."""
    madds = [row["madds"] for row in metrics["exits"]]
    taken = policy.route(said.logits)
    got = exits.outcome(taken, said.logits, said.labels, madds)
    answers = said.logits.argmax(-1)[taken, np.arange(len(taken))]
    confusion = np.zeros((said.logits.shape[-1],) * 2, int)
    np.add.at(confusion, (said.labels, answers), 1)
    wrong = answers != said.labels
    return {
        "accuracy": got.accuracy,
        "madds": got.mean_cost,
        "shares": got.exit_shares,
        "counts": tuple(np.bincount(taken, minlength=len(madds)).tolist()),
        "wrong": tuple(
            np.bincount(taken[wrong], minlength=len(madds)).tolist()
        ),
        "confusion": confusion.tolist(),
    }


def places(reader, slider):
    """Some positions of a slider, both ends among them."""
    last = int(reader.page.locator(f"#{slider}").get_attribute("max"))
    return [0, last // 5, last // 3, last // 2, 4 * last // 5, last]


def test_at_first_it_shows_the_policy_of_the_bundle(reader, finished, said):
    metrics = json.loads(finished.metrics.read_text())
    policy = exits.Policy.from_dict(reader.policy())
    manifest = json.loads((finished.bundle / "manifest.json").read_text())
    assert policy == exits.Policy.from_dict(manifest["policy"])
    assert shown(reader) == computed(policy, said, metrics)


@pytest.mark.parametrize("slider", ["threshold", "budget"])
def test_sliders_give_the_numbers_of_python(reader, finished, said, slider):
    metrics = json.loads(finished.metrics.read_text())
    seen = set()
    for place in places(reader, slider):
        reader.drag(slider, place)
        policy = exits.Policy.from_dict(reader.policy())
        expected = computed(policy, said, metrics)
        assert shown(reader) == expected
        seen.add(expected["counts"])
        # The mean times of calls up to the exits, weighted by the shares.
        times = call_times.up_to_exits(metrics)
        assert reader.value("#now-milliseconds") == pytest.approx(
            np.dot(expected["shares"], times), rel=1e-12
        )
        percent = f"{100 * expected['accuracy']:.2f} %"
        assert reader.text("#now-accuracy") == percent
        chance = page.interval(expected["accuracy"], len(said.labels))
        assert reader.text("#now-interval") == chance
        if slider == "threshold":
            bar = page.threshold(policy.thresholds[0])
            assert reader.text("#threshold-value") == bar
    # They are not all the same policy.
    assert len(seen) >= 4


def test_the_point_moves_in_both_figures(reader):
    for figure, value in (
        ("accuracy-madds", "#now-madds"),
        ("accuracy-latency", "#now-milliseconds"),
    ):
        found = set()
        for place in places(reader, "threshold"):
            reader.drag("threshold", place)
            x, y = reader.page.evaluate(
                "([id, name]) => {const trace = "
                "document.querySelector(`#${id} .plot`).data.find("
                "(each) => each.name === name); return [trace.x, trace.y]}",
                [figure, trade_off.SETTING],
            )
            assert x == [reader.value(value)]
            assert y == [pytest.approx(100 * reader.value("#now-accuracy"))]
            found.add(x[0])
        assert len(found) > 1


def test_the_other_slider_follows_and_reset_goes_back(reader):
    first = reader.policy()
    reader.drag("threshold", places(reader, "threshold")[-2])
    assert reader.policy() != first
    near = float(
        reader.page.evaluate(
            "document.getElementById('budget').costs"
            "[document.getElementById('budget').value]"
        )
    )
    cost = reader.value("#now-madds")
    costs = reader.page.evaluate("document.getElementById('budget').costs")
    assert abs(near - cost) == min(abs(each - cost) for each in costs)
    reader.page.get_by_role("button", name="reset").click()
    assert reader.policy() == first
    assert not reader.page.locator("#reset").is_visible()


def test_images_move_to_the_exit_where_they_leave(reader, finished, said):
    keys = dataset.load(finished.data, "test").keys
    for place in places(reader, "threshold")[1:4]:
        reader.drag("threshold", place)
        policy = exits.Policy.from_dict(reader.policy())
        taken = policy.route(said.logits)
        for k in range(policy.exits):
            tiles = reader.page.evaluate(
                "(k) => [...document.querySelectorAll(`#exit-${k} button`)]"
                ".map((tile) => [tile.querySelector('img').alt, "
                "tile.classList.contains('wrong')])",
                k,
            )
            assert len(tiles) <= 24
            for key, wrong in tiles:
                i = keys.index(key)
                assert taken[i] == k
                answer = said.logits[k, i].argmax()
                assert wrong == (answer != said.labels[i])
            note = reader.text(f"#exit-{k} .note")
            if count := (taken == k).sum():
                assert note.startswith(
                    f"{count} of 120 test images leave here, "
                )
            else:
                assert note == "No test image leaves here."


def test_an_image_shows_its_probabilities_at_every_exit(reader, finished, said):
    keys = dataset.load(finished.data, "test").keys
    labels = json.loads(reader.text("#packed"))["names"]
    reader.drag("threshold", places(reader, "threshold")[-3])
    policy = exits.Policy.from_dict(reader.policy())
    tile = reader.page.locator("#exit-1 button").first
    key = tile.locator("img").get_attribute("alt")
    tile.focus()
    reader.page.keyboard.press("Enter")
    assert reader.page.locator("#image").is_visible()
    assert reader.text("#image-key") == key
    i = keys.index(key)
    found = {row[0]: row[1:] for row in reader.rows("probabilities")}
    for name, cells in found.items():
        for k, cell in enumerate(cells):
            probabilities = exits.softmax(
                said.logits[k, i], policy.temperatures[k]
            )
            share = probabilities[labels.index(name)]
            if share > 0.9995:
                assert cell == "> 99.9 %"
            else:
                assert cell == f"{100 * share:.1f} %"
    # Arrows go on; Escape closes it, and the keyboard is where it was.
    reader.page.keyboard.press("ArrowRight")
    assert reader.text("#image-key") != key
    reader.page.keyboard.press("ArrowLeft")
    assert reader.text("#image-key") == key
    reader.page.keyboard.press("Escape")
    assert not reader.page.locator("#image").is_visible()
    assert reader.page.evaluate("document.activeElement.dataset.sample") == str(
        i
    )


def test_by_keyboard_alone(reader):
    """Tab reaches the sliders and the images, arrows move a slider."""
    reached = []
    for _ in range(40):
        reader.page.keyboard.press("Tab")
        reached.append(
            reader.page.evaluate(
                "document.activeElement.id "
                "|| Object.keys(document.activeElement.dataset)[0] || ''"
            )
        )
        if reached[-1] == "threshold":
            before = reader.policy()
            reader.page.keyboard.press("ArrowRight")
            reader.page.wait_for_function(
                "(before) => document.getElementById('policy').textContent "
                "!== before",
                arg=json.dumps(before, indent=2),
            )
    assert "threshold" in reached
    assert "budget" in reached
    assert "sample" in reached
    spoken = reader.page.locator("#threshold").get_attribute("aria-valuetext")
    assert "% right with" in spoken


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 375)]
)
def test_no_complaint_and_nothing_beside_the_page(
    open_page, finished, scheme, width
):
    reader = open_page(finished, scheme, width)
    reader.drag("budget", places(reader, "budget")[1])
    reader.page.evaluate(
        "document.querySelectorAll('details')"
        ".forEach((each) => { each.open = true; })"
    )
    found = reader.page.evaluate("document.documentElement.scrollWidth")
    reader.page.evaluate(
        "document.querySelectorAll('details')"
        ".forEach((each) => { each.open = false; })"
    )
    assert found <= width
    assert reader.complaints == []


def test_no_table_is_cut_on_a_wide_screen(open_page, finished):
    reader = open_page(finished, "light", 1280)
    cut = reader.page.evaluate(
        "[...document.querySelectorAll('.scroll')]"
        ".filter((each) => each.scrollWidth > each.clientWidth + 1)"
        ".map((each) => each.querySelector('table').id)"
    )
    assert cut == []


def test_tables_have_numbers_on_a_phone(open_page, finished):
    """The first column, which stays, leaves room for another one."""
    reader = open_page(finished, "light", 375)
    without = reader.page.evaluate(
        "[...document.querySelectorAll('table')].filter((table) => "
        "table.tBodies[0]?.rows[0]?.cells.length > 1 && table.offsetParent)"
        ".filter((table) => [...table.tBodies[0].rows].some((row) => {"
        "  const cells = [...row.cells].filter((each) => each.offsetWidth);"
        "  return cells[1].getBoundingClientRect().right > 375;"
        "})).map((table) => table.id)"
    )
    assert without == []


@pytest.mark.parametrize("slider", ["threshold", "budget"])
def test_every_step_of_a_slider_moves_images(reader, slider):
    costs = reader.page.evaluate(
        "(id) => document.getElementById(id).costs", slider
    )
    assert len(costs) > 20
    assert all(a != b for a, b in itertools.pairwise(costs))


def luminance(color):
    """As WCAG 2 defines it, of "rgb(r, g, b)"."""
    channels = [int(each) / 255 for each in color[4:-1].split(",")]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4
        for each in channels
    ]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_figures_are_legible(open_page, finished, scheme):
    reader = open_page(finished, scheme)

    def color(selector, name):
        return reader.page.evaluate(
            "([selector, name]) => "
            "getComputedStyle(document.querySelector(selector))[name]",
            [selector, name],
        )

    page = luminance(color("body", "backgroundColor"))
    assert (page < 0.1) == (scheme == "dark")
    for selector, name in (
        ("body", "color"),
        (".note", "color"),
        ("nav a", "color"),
        (".wrong .said", "color"),
        ("#accuracy-madds .xtitle", "fill"),
    ):
        own = luminance(color(selector, name))
        ratio = (max(own, page) + 0.05) / (min(own, page) + 0.05)
        assert ratio >= 4.5, selector


def test_figures_follow_when_the_scheme_changes(reader):
    def title():
        return reader.page.evaluate(
            "getComputedStyle(document.querySelector("
            "'#accuracy-madds .xtitle')).fill"
        )

    reader.page.emulate_media(color_scheme="light")
    light = title()
    reader.drag("threshold", places(reader, "threshold")[-3])
    point = reader.value("#now-madds")
    reader.page.emulate_media(color_scheme="dark")
    reader.page.wait_for_function(
        "(light) => getComputedStyle(document.querySelector("
        "'#accuracy-madds .xtitle')).fill !== light",
        arg=light,
    )
    # What the slider said stays.
    assert reader.value("#now-madds") == point
    reader.page.emulate_media(color_scheme="light")


def test_every_figure_and_control_has_a_name(reader):
    nameless = reader.page.evaluate(
        "[...document.querySelectorAll("
        "'[role=img], [role=region], input, button, img')]"
        ".filter((each) => !(each.getAttribute('aria-label')"
        " || each.getAttribute('aria-labelledby') || each.alt"
        " || each.labels?.length || each.textContent.trim()))"
        ".filter((each) => !each.closest('dialog'))"
        ".map((each) => each.outerHTML.slice(0, 99))"
    )
    assert nameless == []


def test_on_paper(open_page, finished):
    reader = open_page(finished, "dark")
    reader.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    reader.page.emulate_media(media="print", color_scheme="dark")
    assert (
        reader.page.evaluate("getComputedStyle(document.body).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    for hidden in ("nav", "#threshold", "#policy"):
        assert not reader.page.locator(hidden).is_visible()
    for there in ("#policies", "#times", "#now-accuracy", "#image-sides"):
        assert reader.page.locator(there).is_visible()
    reader.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    reader.page.emulate_media(media="screen")
    assert not reader.page.locator("#policies").is_visible()
    pages = reader.page.pdf(format="A4")
    assert pages.startswith(b"%PDF")


def test_many_classes_and_a_single_exit(open_page, finished, tmp_path):
    """The most frequent mistakes instead of a matrix; no sliders."""
    from tests.support import report_inputs

    policy = exits.Policy(
        temperatures=(1.0,), thresholds=(0.0,), enabled=(True,)
    )
    names = [f"class {k}" for k in range(30)]
    layout = report_inputs.write(tmp_path / "many", policy, names)

    def single(metrics):
        del metrics["exits"][1:]
        metrics["routed"] = [
            {**metrics["routed"][0], "exit_shares": [1.0], "target": 0.0}
        ]

    report_inputs.change_metrics(layout, single)
    report.report(config.load("ranet_digits"), layout)
    reader = open_page(layout)
    assert reader.complaints == []
    said = predictions.load(layout.predictions, "test")
    answers = said.logits[0].argmax(-1)
    rows = reader.rows("confusion-table")
    assert 0 < len(rows) <= 15
    for label, answer, count in rows:
        pair = names.index(label), names.index(answer)
        both = (said.labels == pair[0]) & (answers == pair[1])
        assert both.sum() == int(count)
    assert not reader.page.locator("#threshold").count()
    reader.page.locator("[data-sample]").first.click()
    assert reader.page.locator("#image").is_visible()
