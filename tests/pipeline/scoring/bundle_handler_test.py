import pathlib
import pickle
import threading
import zipfile

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

from keras_dynamic.exits.decision.policy import Policy
from pipeline.scoring import bundle_handler
from pipeline.storage import beam_files
from tests.support import object_store, tiny_bundle
from tflite import bundle
from tflite.runtime.harness import Harness

IMAGES = tiny_bundle.images(30)
COSTS = np.cumsum(tiny_bundle.MADDS)

# What reaches the end of a pipeline that runs in this process.
FOUND: list = []


@pytest.fixture(scope="module", name="directory")
def _directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bundle")
    tiny_bundle.write(directory)
    return directory


@pytest.fixture(scope="module", name="harness")
def _harness(directory):
    return Harness(str(directory))


def assert_scored(scored, harness, image, chosen=None):
    expected = harness.run(image, chosen or harness.bundle.policy)
    assert isinstance(scored, bundle_handler.Scored)
    assert (scored.predicted, scored.exit) == (expected.index, expected.exit)
    assert scored.madds == COSTS[expected.exit]
    np.testing.assert_array_equal(scored.probabilities, expected.probabilities)


def collect(result):
    FOUND.append(result)


def run_beam(elements, handler):
    """Returns the results, and our counters by name."""
    FOUND.clear()
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = (
        pipeline
        | beam.Create(elements)
        | RunInference(handler)
        | beam.Map(collect)
    )
    result = pipeline.run()
    result.wait_until_finish()
    counters = {
        counter.key.metric.name: counter.committed
        for counter in result.metrics().query()["counters"]
        if counter.key.metric.namespace == bundle_handler.NAMESPACE
    }
    return list(FOUND), counters


def test_arrays_in_someone_s_pipeline(directory, harness):
    handler = bundle_handler.BundleModelHandler(directory, batch_size=4)
    results, counters = run_beam(list(IMAGES), handler)
    assert len(results) == len(IMAGES)
    for result in results:
        assert_scored(result.inference, harness, result.example)
        assert result.model_id == str(directory)
    exits = [harness.classify(image).exit for image in IMAGES]
    assert set(exits) == {0, 1, 2}
    for exit in range(3):
        assert counters[f"exit_{exit}"] == exits.count(exit)
    assert counters["rejected"] == 0
    assert counters["num_inferences"] == len(IMAGES)


def test_keyed_arrays_and_a_policy_of_one_s_own(directory, harness):
    chosen = Policy(
        temperatures=(1.0, 1.0, 1.0),
        thresholds=(1.0, 0.27, 0.0),
        enabled=(True, True, True),
    )
    handler = bundle_handler.BundleModelHandler(directory, policy=chosen)
    results, counters = run_beam(
        list(enumerate(IMAGES)), KeyedModelHandler(handler)
    )
    assert sorted(key for key, _ in results) == list(range(len(IMAGES)))
    for key, result in results:
        assert_scored(result.inference, harness, IMAGES[key], chosen)
    assert "exit_0" not in counters or counters["exit_0"] == 0
    assert counters["exit_1"] + counters["exit_2"] == len(IMAGES)


BAD = {
    "float": IMAGES[0] / 255,
    "small": IMAGES[0, 1:],
    "grey": IMAGES[0, ..., :1],
    "batch": IMAGES[:2],
    "flat": IMAGES[0].ravel(),
    "list": IMAGES[0].tolist(),
    "none": None,
    "path": "cat.jpg",
    "passed on": bundle_handler.Rejected("lost on the way"),
}


def test_bad_elements_do_not_cost_a_batch(directory, harness):
    handler = bundle_handler.BundleModelHandler(directory)
    model = handler.load_model()
    batch = [each for bad in BAD.values() for each in (bad, IMAGES[3])]
    results = list(handler.run_inference(batch, model))
    assert len(results) == len(batch)
    for element, result in zip(batch, results, strict=True):
        assert result.example is element
    for result in results[1::2]:
        assert_scored(result.inference, harness, IMAGES[3])
    reasons = {
        name: result.inference.reason
        for name, result in zip(BAD, results[::2], strict=True)
    }
    assert reasons["float"] == "pixels must be uint8. Received: float64"
    assert reasons["small"].endswith("(8, 8, 3). Received: (7, 8, 3)")
    assert reasons["batch"].endswith("Received: (2, 8, 8, 3)")
    assert reasons["path"] == "pixels must be uint8. Received: str"
    assert reasons["passed on"] == "lost on the way"


def test_a_batch_of_nothing_but_bad_elements(directory):
    handler = bundle_handler.BundleModelHandler(directory)
    results = list(
        handler.run_inference(list(BAD.values()), handler.load_model())
    )
    assert {type(r.inference) for r in results} == {bundle_handler.Rejected}
    assert list(handler.run_inference([], handler.load_model())) == []


def test_bytes_of_a_batch(directory):
    handler = bundle_handler.BundleModelHandler(directory)
    batch = [*IMAGES[:5], bundle_handler.Rejected("gone")]
    assert handler.get_num_bytes(batch) == 5 * IMAGES[0].nbytes


@pytest.mark.parametrize(
    ("arguments", "least", "most"),
    [
        ({}, 256, 256),
        ({"batch_size": 8}, 32, 32),
        ({"max_batch_size": 16}, 16, 16),
        ({"min_batch_size": 8}, 8, 256),
        ({"min_batch_size": 500}, 500, 500),
        ({"min_batch_size": 1, "max_batch_size": 3}, 1, 3),
    ],
)
def test_batching_arguments(directory, arguments, least, most):
    handler = bundle_handler.BundleModelHandler(directory, **arguments)
    assert handler.batch_elements_kwargs() == {
        "min_batch_size": least,
        "max_batch_size": most,
    }


def test_a_worker_gets_the_handler_and_not_the_model(directory):
    handler = bundle_handler.BundleModelHandler(pathlib.Path(directory))
    copy = pickle.loads(pickle.dumps(handler))
    assert len(pickle.dumps(handler)) < 2000
    results = list(copy.run_inference(list(IMAGES[:3]), copy.load_model()))
    assert len(results) == 3


def test_threads_take_turns(directory, harness):
    handler = bundle_handler.BundleModelHandler(directory, batch_size=4)
    model = handler.load_model()
    found = [None] * 4

    def score(i):
        batch = list(np.roll(IMAGES, i, axis=0))
        for _ in range(5):
            found[i] = list(handler.run_inference(batch, model))

    threads = [threading.Thread(target=score, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for results in found:
        for result in results:
            assert_scored(result.inference, harness, result.example)


def test_an_archive_is_enough(directory, harness, tmp_path):
    data = (directory / "bundle.zip").read_bytes()
    (tmp_path / "bundle.zip").write_bytes(data)
    for path in (tmp_path, tmp_path / "bundle.zip"):
        handler = bundle_handler.BundleModelHandler(path)
        (result,) = handler.run_inference([IMAGES[0]], handler.load_model())
        assert_scored(result.inference, harness, IMAGES[0])
    assert bundle_handler.described(tmp_path).name == "tiny"


def test_no_bundle(tmp_path):
    handler = bundle_handler.BundleModelHandler(tmp_path)
    with pytest.raises(bundle.InvalidBundle, match=r"manifest\.json"):
        handler.load_model()
    (tmp_path / "bundle.zip").write_bytes(b"PK no archive")
    with pytest.raises(bundle.InvalidBundle, match=r"bundle\.zip"):
        handler.load_model()
    with pytest.raises(bundle.InvalidBundle, match=r"bundle\.zip"):
        bundle_handler.described(tmp_path)


def test_a_bundle_in_an_object_store(directory, harness, tmp_path):
    with object_store.bucket() as root:
        for path in directory.iterdir():
            data = path.read_bytes()
            if path.name == "bundle.zip":
                beam_files.write(f"{root}/zip/{path.name}", data)
            else:
                beam_files.write(f"{root}/files/{path.name}", data)
        for place in ("zip", "zip/bundle.zip", "files"):
            handler = bundle_handler.BundleModelHandler(f"{root}/{place}")
            (result,) = handler.run_inference([IMAGES[0]], handler.load_model())
            assert_scored(result.inference, harness, IMAGES[0])
        with pytest.raises(bundle.InvalidBundle, match=r"manifest\.json"):
            bundle_handler.described(f"{root}/elsewhere")


def test_an_archive_is_not_unpacked(directory, tmp_path):
    data = (directory / "bundle.zip").read_bytes()
    path = tmp_path / "bundle.zip"
    path.write_bytes(data)
    with bundle_handler.local(path) as local:
        assert local == str(path)
    names = bundle.read(str(path)).files
    with zipfile.ZipFile(path) as opened:
        contents = {name: opened.read(name) for name in names}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name, content in contents.items():
            bomb.writestr(name, content)
        for i in range(3):
            bomb.writestr(f"bomb_{i}", bytes(2**24))
    for work in (
        bundle_handler.read,
        lambda p: bundle_handler.BundleModelHandler(p),
    ):
        with pytest.raises(bundle.InvalidBundle, match="stored"):
            found = work(path)
            found.load_model()


def test_a_link_to_an_archive_elsewhere_is_not_followed(directory, tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.zip").symlink_to(directory / "bundle.zip")
    with pytest.raises(bundle.InvalidBundle, match="leads out"):
        bundle_handler.described(tmp_path / "bundle")


def test_of_an_object_store_no_more_is_copied_than_was_named(
    directory, tmp_path
):
    with object_store.bucket() as root:
        for path in directory.iterdir():
            if path.suffix != ".zip":
                beam_files.write(f"{root}/b/{path.name}", path.read_bytes())
        beam_files.write(f"{root}/b/foreign", bytes(2**20))
        with bundle_handler.local(f"{root}/b") as local:
            names = sorted(each.name for each in pathlib.Path(local).iterdir())
        assert names == sorted(bundle.read(str(directory)).files)
        beam_files.write(f"{root}/b/exit_0.tflite", bytes(2**20))
        with pytest.raises(bundle.InvalidBundle, match=r"exit_0\.tflite"):
            bundle_handler.described(f"{root}/b")
