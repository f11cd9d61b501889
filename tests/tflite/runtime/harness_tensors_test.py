"""What moves between segments, and what all of them take."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.support import tiny_chain
from tests.support.tiny_chain import policy_of
from tests.support.tiny_graph import TinyGraph
from tflite import bundle
from tflite.cutting import split
from tflite.runtime import harness
from tflite.runtime.logits import Logits


class Counted:
    """Stands for an input's memory, and counts what is written into it."""

    def __init__(self, view):
        self.view = view
        self.bytes = 0

    def __setitem__(self, where, source):
        self.view[where] = source
        self.bytes += len(source)


@pytest.fixture
def counting(tmp_path, write_bundle):
    """Opens a bundle of small segments; returns it and its inputs."""

    def count(segments):
        write_bundle(tmp_path, segments, input=tiny_chain.INPUT)
        opened = harness.Harness(str(tmp_path))
        opened.warm_up()
        loaded, counts = opened._own.chain._stages, []
        for place, stage in enumerate(loaded):
            fed = [
                feed._replace(view=Counted(feed.view)) for feed in stage.feeds
            ]
            loaded[place] = stage._replace(feeds=tuple(fed))
            counts.append([feed.view for feed in fed])
        return opened, counts

    return count


def sums(counts) -> list[int]:
    return [sum(each.bytes for each in views) for views in counts]


def test_each_tensor_moves_once_for_whoever_reads_it(counting):
    opened, counts = counting(tiny_chain.segments(3))
    wide = 4 * 48  # Bytes between two segments.
    image = tiny_chain.images(1)[0]
    assert opened.run(image, policy_of([0.0, 0.0, 0.0])).exit == 0
    # Nobody needed what the first segment has for the second one.
    assert sums(counts) == [0, 0, 0]
    assert opened.run(image, policy_of([1.0, 0.0, 0.0])).exit == 1
    assert sums(counts) == [0, wide, 0]
    opened.run(image)
    assert sums(counts) == [0, 2 * wide, wide]


def test_the_image_is_written_where_the_first_segment_has_it(counting):
    opened, counts = counting(tiny_chain.segments(3))
    image = tiny_chain.images(1)[0]
    opened.run(image)
    memory = opened._own.chain._image
    np.testing.assert_array_equal(memory, image * np.float32(1 / 255))
    assert counts[0] == []


def test_an_image_that_two_segments_read(counting, run_chain):
    segments = tiny_chain.segments(3, rereads=True)
    assert "image" in segments[2].wiring.inputs
    opened, counts = counting(segments)
    for image in tiny_chain.images(5):
        pixels = image[np.newaxis] * np.float32(1 / 255)
        expected = run_chain(segments, {"image": pixels})
        for segment, logits in zip(segments, opened.logits(image), strict=True):
            np.testing.assert_array_equal(logits, expected[segment.output][0])
    assert [len(views) for views in counts] == [1, 1, 2]


def test_logits_that_nobody_asks_for_are_not_read(counting, monkeypatch):
    opened, _ = counting(tiny_chain.segments(3))
    read = []
    numbers = Logits.numbers
    monkeypatch.setattr(
        Logits, "numbers", lambda each: read.append(each) or numbers(each)
    )
    opened.run(tiny_chain.images(1)[0])
    assert read == [opened._own.chain._stages[2].logits]


PEAK = """
import sys
import numpy as np
from tflite.runtime import harness

with harness.Harness(sys.argv[1]) as opened:
    for _ in range(20):
        opened.logits(np.zeros((8, 8, 3), np.uint8))
with open("/proc/self/status") as status:
    peak = [line for line in status if line.startswith("VmHWM")]
print(int(peak[0].split()[1]) / 1024)
"""


@pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="needs Linux's /proc"
)
def test_four_segments_stay_below_100_mb(tmp_path, write_bundle):
    """Four float segments of 150 kB each; a quarter of them is the runtime."""
    rng = np.random.default_rng(0)
    graph = TinyGraph()
    image = graph.tensor([1, 8, 8, 3], name="image")
    hidden, outputs = image, []
    like = graph.tensor([1, 192])
    few = graph.tensor([1, 5])
    for _ in range(4):
        square = rng.normal(size=(192, 192)).astype(np.float32) / 14
        weights = graph.constant(square)
        hidden = graph.run("FULLY_CONNECTED", [hidden, weights, -1], like=like)
        head = graph.constant(square[:5].copy())
        outputs.append(
            graph.run("FULLY_CONNECTED", [hidden, head, -1], like=few)
        )
    names = {"image": image} | {f"exit_{k}": t for k, t in enumerate(outputs)}
    segments = split.split(graph.write([image], outputs, names))
    assert all(len(s.model) > 147_000 for s in segments)
    facts = bundle.InputFacts((8, 8, 3), "float32", 1 / 255, 0)
    write_bundle(tmp_path, segments, input=facts)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path)],
        stdout=subprocess.PIPE,
        check=True,
    )
    assert 10 < float(done.stdout) < 100
