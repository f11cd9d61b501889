"""Several threads with one harness."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.support import tiny_chain
from tests.support.tiny_chain import images, policy_of
from tflite import bundle
from tflite.format import model_file
from tflite.runtime import harness, interpreter

POLICY = policy_of([0.45, 0.28, 0.0])


@pytest.fixture(params=[False, True], ids=["read", "mapped"])
def opened(request, tmp_path, write_bundle):
    write_bundle(
        tmp_path, tiny_chain.segments(), input=tiny_chain.INPUT, policy=POLICY
    )
    with harness.Harness(str(tmp_path), memory_mapped=request.param) as each:
        yield each


def facts(result: harness.Result) -> tuple:
    return result.exit, result.madds, result.probabilities.tobytes()


def together(count: int, function) -> list:
    """Runs a function in threads that all begin at once."""
    barrier = threading.Barrier(count)

    def run(number):
        barrier.wait()
        return function(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_results_are_those_of_one_thread(opened):
    batch = images(300)
    expected = [facts(opened.classify(image)) for image in batch]
    assert {each[0] for each in expected} == {0, 1, 2}

    def classify(number):
        order = np.random.default_rng(number).permutation(len(batch))
        found = {i: facts(opened.classify(batch[i])) for i in order}
        return [found[i] for i in range(len(batch))]

    for found in together(4, classify):
        assert found == expected


def test_batches_and_streams_too(opened):
    batch = images(60)
    expected = [facts(opened.classify(image)) for image in batch]

    def both(number):
        streamed = [facts(each) for each in opened.stream(batch)]
        many = opened.classify_batch(batch, batch_size=5 + number)
        rows = zip(many.exits, many.madds, many.probabilities, strict=True)
        return streamed, [(e, m, p.tobytes()) for e, m, p in rows]

    for streamed, batched in together(4, both):
        assert streamed == batched == expected


def test_models_are_read_and_checked_once(tmp_path, write_bundle, monkeypatch):
    write_bundle(tmp_path, tiny_chain.segments(), input=tiny_chain.INPUT)
    counts = {"read": 0, "verify": 0, "load": 0}

    def counted(name, function):
        def run(*arguments, **options):
            counts[name] += 1
            return function(*arguments, **options)

        return run

    for module, attribute, name in (
        (bundle.Bundle, "model", "read"),
        (model_file, "verify", "verify"),
        (interpreter, "load", "load"),
    ):
        function = getattr(module, attribute)
        monkeypatch.setattr(module, attribute, counted(name, function))
    with harness.Harness(str(tmp_path)) as opened:
        together(3, lambda _: opened.warm_up())
    # The thread that opened it has the first segment, too.
    assert counts == {"read": 3, "verify": 3, "load": 3 * 3 + 1}


def test_a_thread_takes_its_interpreters_with_it(opened):
    kept = []

    def classify():
        opened.warm_up()
        kept.extend(
            weakref.ref(stage.interpreter)
            for stage in opened._own.chain._stages
        )

    thread = threading.Thread(target=classify)
    thread.start()
    thread.join()
    gc.collect()
    assert [each() for each in kept] == [None] * 3
    assert opened.classify(images(1)[0]).label


def test_closing_ends_it_for_every_thread(opened):
    image = images(1)[0]
    ready, closed = threading.Barrier(2), threading.Event()

    def work():
        opened.warm_up()
        running = opened.exits(image)
        first = next(running)
        ready.wait()
        closed.wait()
        # What is running comes to its end.
        rest = [each.logits for each in running]
        with pytest.raises(ValueError, match="`harness`"):
            opened.classify(image)
        return [first.logits, *rest]

    expected = opened.logits(image)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(work)
        ready.wait()
        opened.close()
        closed.set()
        np.testing.assert_array_equal(found.result(), expected)
