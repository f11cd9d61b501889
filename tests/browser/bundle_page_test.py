"""The page of examples/browser against the harness, on all test images."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

from keras_dynamic.exits import Policy
from keras_dynamic.exits.decision.policy import last_exit
from pipeline.data import dataset
from pipeline.results.layout import Layout
from tflite.runtime.harness import Harness

pytestmark = pytest.mark.browser

PAGE = pathlib.Path(__file__).parents[2] / "examples" / "browser"
WORKDIR = pathlib.Path(os.environ.get("WORKDIR", "runs/demo"))
# The second is what LiteRT.js takes where there is no relaxed SIMD.
RUNTIMES = [
    "",
    "node_modules/@litertjs/core/wasm/litert_wasm_compat_internal.js",
]


@pytest.fixture(scope="session")
def served():
    """The address of the page with the demo's bundle."""
    spec = importlib.util.spec_from_file_location("serve", PAGE / "serve.py")
    serve = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve)
    server = serve.server(WORKDIR)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def open_demo(browser, served):
    """Opens the page; fails if it asks another machine or complains."""
    pages, complaints = [], []

    def opened(query=""):
        page = browser.new_page()
        pages.append(page)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((served, "data:", "blob:"))
                else complaints.append(request.url)
            ),
        )
        page.goto(served + query)
        page.wait_for_function(
            "!document.getElementById('controls').disabled "
            "|| !document.getElementById('error').hidden"
        )
        assert not page.locator("#error").is_visible(), page.text_content(
            "#error"
        )
        return page

    yield opened
    for page in pages:
        page.close()
    assert complaints == []


@pytest.fixture(scope="session")
def harness():
    """The Python harness on the same bundle."""
    with Harness(str(WORKDIR / "bundle" / "bundle.zip")) as harness:
        yield harness


@pytest.fixture(scope="session")
def images():
    """All test images."""
    split = dataset.load(Layout(WORKDIR).data, "test")
    return split.take(np.arange(len(split)))


ALL = """async (point) => {
  const found = [];
  for (let i = 0; i < demo.images; i++) {
    const said = await demo.classify(i, point);
    const { label, exit, logits, probabilities, ms } = said;
    found.push([label, exit, logits, probabilities, ms]);
  }
  return found;
}"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_answer_is_the_harness_s(open_demo, harness, images, runtime):
    page = open_demo(f"?runtime={runtime}" if runtime else "")
    policies = {
        "the bundle's policy": harness.bundle.policy,
        **harness.bundle.operating_points,
        "to the last exit": last_exit(harness.bundle.policy.temperatures),
    }
    assert page.evaluate("demo.points") == list(policies)
    for point, policy in policies.items():
        found = page.evaluate(ALL, point)
        assert len(found) == len(images)
        differing = total = 0
        for image, (label, exit, logits, probabilities, _) in zip(
            images, found, strict=True
        ):
            said = harness.run(image, policy)
            assert (label, exit) == (said.label, said.exit)
            np.testing.assert_allclose(
                probabilities, said.probabilities, rtol=0, atol=1e-12
            )
            for mine, own in zip(logits, harness.logits(image), strict=False):
                own = np.frombuffer(own.tobytes(), np.uint8)
                differing += int((np.array(mine, np.uint8) != own).sum())
                total += own.size
        times = [each[4] for each in found]
        print(
            f"{runtime or 'default'}, {point}: {len(found)} images, "
            f"{differing} of {total} bytes of logits differ, "
            f"median {np.median(times):.3f} ms"
        )
        assert differing == 0


def test_a_directory_gives_the_same(open_demo):
    zipped, directory = open_demo(), open_demo("?bundle=bundle/")
    ask = "() => demo.classify(3, 'to the last exit').then((x) => x.logits)"
    assert zipped.evaluate(ask) == directory.evaluate(ask)


def test_the_page_shows_image_label_exit_and_time(open_demo, harness, images):
    page = open_demo()
    for place, point in [(5, "the bundle's policy"), (7, "to the last exit")]:
        page.select_option("#image", str(place))
        page.select_option("#point", point)
        page.wait_for_function(
            "(want) => document.body.dataset.shown === want",
            arg=f"{place} {point}",
        )
        policy = (
            harness.bundle.policy
            if point == "the bundle's policy"
            else last_exit(harness.bundle.policy.temperatures)
        )
        said = harness.run(images[place], policy)
        assert page.text_content("#label") == said.label
        assert page.text_content("#exit").startswith(f"{said.exit} of ")
        assert page.text_content("#ms").endswith(" ms")
        shown = page.evaluate(
            "[...document.getElementById('pixels').getContext('2d')"
            ".getImageData(0, 0, 32, 32).data]"
        )
        assert shown[::4] == images[place][..., 0].ravel().tolist()


@pytest.mark.parametrize(
    "kind", ["max_probability", "margin", "entropy", "patience"]
)
def test_decisions_of_every_kind(open_demo, kind):
    page = open_demo()
    rng = np.random.default_rng(0)
    logits = np.round(rng.normal(0, 2, (200, 3, 10)), 3)
    policy = Policy(
        kind=kind,
        temperatures=(0.7, 1.0, 1.3),
        thresholds=(0.5, 0.5, 0.0),
        enabled=(True, True, True),
    )
    found = page.evaluate(
        """async ([policy, logits]) => {
          const { Decision } = await import("./policy.js");
          return logits.map((image) => {
            const decision = new Decision(policy);
            return image.findIndex((each, k) => decision.step(k, each).stops);
          });
        }""",
        [policy.to_dict(), logits.tolist()],
    )
    assert found == policy.route(list(logits.swapaxes(0, 1))).tolist()


def test_a_bundle_that_is_not_as_its_manifest_says_is_refused(open_demo):
    page = open_demo()
    said = page.evaluate(
        """async () => {
          const { directory, open } = await import("./bundle.js");
          const read = directory("bundle/");
          const bundle = await open(async (file) => {
            const bytes = await read(file);
            if (file.endsWith(".tflite")) bytes[100] ^= 1;
            return bytes;
          });
          try {
            await bundle.content(bundle.manifest.segments[0]);
          } catch (error) {
            return error.message;
          }
        }"""
    )
    assert "exit_0.tflite" in said


def test_the_lock_file_names_no_registry():
    lock = json.loads((PAGE / "package-lock.json").read_text(encoding="utf-8"))
    for name, facts in lock["packages"].items():
        assert "resolved" not in facts
        assert not name or facts["integrity"].startswith("sha512-")


def test_without_a_bundle_it_says_what_is_missing(tmp_path):
    done = subprocess.run(
        [sys.executable, PAGE / "serve.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "bundle.zip" in done.stderr
    assert "Traceback" not in done.stderr
