"""A bundle in two processes says what the whole chain does, or says why not."""

import os
import pathlib
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from keras_dynamic.exits.decision.policy import Policy
from tests.support import small_bundle
from tflite import bundle
from tflite.runtime.harness import Harness

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "split_computing"
IMAGES = np.random.default_rng(0).integers(
    0, 256, (60, *small_bundle.SHAPE), np.uint8
)
POINTS = {
    "all": Policy(
        temperatures=(1.0, 1.0, 1.0),
        thresholds=(0.0, 0.0, 0.0),
        enabled=(False, False, True),
    ),
    "here": Policy(
        temperatures=(1.0, 1.0, 1.0),
        thresholds=(0.0, 0.0, 0.0),
        enabled=(True, True, True),
    ),
}


@pytest.fixture
def example(monkeypatch):
    """The example's modules, found as when its scripts run."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import device
    import place
    import wire

    yield {"device": device, "place": place, "wire": wire}
    for name in ("device", "place", "wire"):
        sys.modules.pop(name, None)


@pytest.fixture
def placed(tmp_path, example):
    small_bundle.write(tmp_path / "whole", operating_points=POINTS)
    sent = example["place"].place(
        str(tmp_path / "whole"), str(tmp_path / "placed"), 1
    )
    assert sent == 16
    return str(tmp_path / "placed")


@pytest.fixture
def served(placed):
    """A server in a process of its own, and its port."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE / "server.py"), placed],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("point", [None, "all", "here"])
def test_two_processes_say_what_the_whole_chain_does(
    example, placed, served, point
):
    _, port = served
    device = example["device"].Device(placed, ("127.0.0.1", port), 30.0)
    exits = set()
    with Harness(placed) as harness:
        for image in IMAGES:
            ours = device.classify(image, point)
            theirs = harness.classify(image, point)
            assert ours.server_failed is None
            assert (ours.exit, ours.label) == (theirs.exit, theirs.label)
            np.testing.assert_array_equal(
                ours.probabilities, theirs.probabilities
            )
            assert (ours.sent_bytes > 0) == (ours.exit > 0)
            exits.add(ours.exit)
    device.close()
    assert point is None or exits == {0 if point == "here" else 2}


def test_a_killed_server_leaves_the_last_exit_of_the_device(
    example, placed, served
):
    process, port = served
    device = example["device"].Device(placed, ("127.0.0.1", port), 30.0)
    assert device.classify(IMAGES[0], "all").exit == 2
    process.kill()
    process.wait()
    with Harness(placed) as harness:
        for image in IMAGES[:5]:
            found = device.classify(image, "all")
            assert (found.exit, found.sent_bytes) == (0, 0)
            assert found.server_failed
            expected = next(harness.exits(image))
            numbers = harness.dequantize(0, expected.logits)
            assert found.index == int(np.argmax(numbers))
            # Who stops on the device does not ask.
            assert device.classify(image, "here").server_failed is None


BAD_ANSWERS = {
    "silence": None,
    "closed": b"",
    "long": b"\xff" * 64,
    "no tensors": b"\0\0\0\2\0\0\0\0{}",
    "a list": b"\0\0\0\2\0\0\0\0[]",
    "no exit of the server": b'\0\0\0\x19\0\0\0\0{"exit": 0,"tensors": []}',
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_server_that_answers_badly_or_not_is_as_good_as_gone(
    example, placed, answer
):
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def once():
            connection, _ = listening.accept()
            with connection:
                connection.recv(2**16)
                if answer is None:
                    done.wait(30)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=once)
        thread.start()
        device = example["device"].Device(
            placed, listening.getsockname(), 0.5 if answer is None else 30.0
        )
        found = device.classify(IMAGES[0], "all")
        done.set()
        thread.join()
    assert (found.exit, found.sent_bytes) == (0, 0)
    assert found.server_failed


def test_a_server_refuses_what_does_not_fit_and_serves_on(
    example, placed, served
):
    _, port = served
    wire = example["wire"]
    address = ("127.0.0.1", port)
    hashes = [each.sha256 for each in bundle.read(placed).segments]
    with socket.create_connection(address) as connection:
        for facts in (
            {},
            {"segments": hashes, "point": ["all"]},
            {"segments": hashes, "point": "other"},
            {"segments": hashes},
        ):
            wire.send(connection, facts, {}, wire.Deadline(30))
            found, tensors = wire.receive(connection, wire.Deadline(30))
            assert found["error"] and not tensors
    with socket.create_connection(address) as connection:
        connection.sendall(b"\xff" * 64)
        found, _ = wire.receive(connection, wire.Deadline(30))
        assert "at most" in found["error"]
    device = example["device"].Device(placed, address, 30.0)
    assert device.classify(IMAGES[0], "all").server_failed is None


def test_a_policy_is_fitted_to_milliseconds_and_the_way(placed, monkeypatch):
    import place

    fitted = []
    for budget in ("1.0", "1000"):
        monkeypatch.setattr(
            sys,
            "argv",
            ["place.py", placed, f"{placed}_{budget}", "--device_exits=1"]
            + [f"--budget_ms={budget}", "--device_ms=1", "--server_ms=1,2"],
        )
        place.main()
        opened = bundle.read(f"{placed}_{budget}")
        assert opened.device_exits == 1
        fitted.append(opened.operating_points[place.POINT])
    # Nothing is left for the server; then it pays for every image.
    assert fitted[0].fitted["mean_cost"] == 1.0
    assert fitted[1].fitted["mean_cost"] > 10.0
