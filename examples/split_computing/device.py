"""Runs a bundle's first segments here, and asks a server for the others.

    python device.py BUNDLE PORT IMAGE ... [--timeout=1.0]

An image that its policy lets stop on the device needs no server. For one that
goes on, the tensors that cross the cut are sent. If the server does not answer
in time, the last exit of the device does, and the answer says why.
"""

import argparse
import dataclasses
import socket

import numpy as np
import wire

from keras_dynamic.exits.decision import confidence
from tflite.bundle import server_places
from tflite.runtime import interpreter
from tflite.runtime.chain_part import ChainPart
from tflite.runtime.open_bundle import OpenBundle
from tflite.runtime.quantized import quantized


@dataclasses.dataclass(frozen=True)
class Answer:
    """Says what an image is.

    Attributes:
        index: The most probable class.
        label: Its name.
        probabilities: Of every class, float64 [C].
        exit: Where the image stopped, from 0.
        sent_bytes: To the server; 0 if it was not asked.
        server_failed: Why the server did not answer, so that the exit is the
            device's last one; None if it did, or was not asked.
    """

    index: int
    label: str
    probabilities: np.ndarray
    exit: int
    sent_bytes: int = 0
    server_failed: str | None = None


class Device:
    """Runs the first segments, and asks for the others.

    Args:
        path: A bundle with `place: "server"`, or its bundle.zip.
        address: Host and port of the server.
        timeout: Seconds that all of an image's question may take.

    Raises:
        ValueError: If the bundle is not sound, or `timeout` not positive.
    """

    def __init__(self, path: str, address: tuple[str, int], timeout: float = 1):
        if not timeout > 0:
            raise ValueError(f"`timeout` must be positive. Received: {timeout}")
        opened = OpenBundle(path, interpreter.Options())
        self.bundle = opened.bundle
        self._address, self._timeout = address, timeout
        ends, last = self.bundle.ends, self.bundle.device_exits - 1
        self._here = ChainPart(opened, 0, ends[last] + 1)
        # What crosses is known from the manifest alone.
        self._crossing = server_places.crossing(
            [each.wiring for each in self.bundle.segments], ends[last] + 1
        )
        self._whole = last == len(ends) - 1
        self._connection: socket.socket | None = None

    def classify(self, image: np.ndarray, point: str | None = None) -> Answer:
        """Classifies an image, uint8 [H, W, C].

        Args:
            image: As in the bundle's input facts.
            point: Name of an operating point; the bundle's policy without.

        Raises:
            ValueError: If the image does not fit, or there is no such point.
        """
        policy, facts = self._policy(point), self.bundle.input
        if image.dtype != np.uint8 or image.shape != facts.shape:
            raise ValueError(
                f"`image` must be uint8 of the shape {facts.shape}. "
                f"Received: {image.dtype} of {image.shape}"
            )
        [name] = self.bundle.segments[0].wiring.inputs
        state, exits = policy.begin(), {}
        start = {name: quantized(image[None], facts)}
        for exit, logits, tensors in self._here.exits_of(start):  # noqa: B007
            exits[f"logits_{exit}"] = logits
            probabilities = confidence.softmax(
                self._here.numbers(exit, logits), policy.temperatures[exit]
            )
            if policy.looks_at(exit):
                leaves, state = policy.step(exit, probabilities, state)
                if leaves:
                    return self._answer(probabilities, exit)
        if self._whole:
            return self._answer(probabilities, exit)
        crossing = {name: tensors[name] for name in self._crossing}
        try:
            reply = self._asked(point, exits | crossing)
            further, found = self._checked(*reply[:2])
        except (OSError, EOFError, ValueError) as error:
            self.close()
            why = str(error) or type(error).__name__
            return self._answer(probabilities, exit, server_failed=why)
        return self._answer(found, further, sent_bytes=reply[2])

    def close(self) -> None:
        """Closes the connection; the next question opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _asked(self, point, tensors):
        """Returns the server's facts and tensors, and the bytes sent."""
        deadline = wire.Deadline(self._timeout)
        if self._connection is None:
            self._connection = socket.create_connection(
                self._address, self._timeout
            )
            self._connection.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
            )
        hashes = [each.sha256 for each in self.bundle.segments]
        question = {"segments": hashes, "point": point}
        sent = wire.send(self._connection, question, tensors, deadline)
        return *wire.receive(self._connection, deadline), sent

    def _checked(self, facts, tensors):
        """Returns the exit of a server's answer, and its probabilities."""
        if "error" in facts:
            raise ValueError(f"the server refused: {facts['error']}")
        exit, found = facts.get("exit"), tensors.get("probabilities")
        behind = range(self.bundle.device_exits, len(self.bundle.ends))
        if (
            type(exit) is not int
            or exit not in behind
            or found is None
            or found.shape != (len(self.bundle.labels),)
            or not np.isfinite(found).all()
        ):
            raise ValueError(
                "the server must answer with the probabilities of its exits"
            )
        return exit, found

    def _answer(self, probabilities, exit, **facts):
        index = int(probabilities.argmax())
        label = self.bundle.labels[index]
        return Answer(index, label, probabilities, exit, **facts)

    def _policy(self, point):
        points = {None: self.bundle.policy, **self.bundle.operating_points}
        if point not in points:
            known = sorted(self.bundle.operating_points)
            raise ValueError(
                f"`point` must be one of {known}. Received: {point!r}"
            )
        return points[point]


def main() -> None:
    """Classifies photographs."""
    from pipeline.data import photograph

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("port", type=int)
    parser.add_argument("images", nargs="+")
    parser.add_argument("--timeout", type=float, default=1.0)
    given = parser.parse_args()
    try:
        device = Device(given.bundle, ("127.0.0.1", given.port), given.timeout)
        for path in given.images:
            found = device.classify(
                photograph.pixels_for(path, device.bundle.input)
            )
            print(
                f"{path}: {found.label}, "
                f"{found.probabilities[found.index]:.1%}, exit {found.exit}, "
                f"{found.sent_bytes} bytes sent"
            )
            if found.server_failed is not None:
                print(f"  without the server: {found.server_failed}")
    except (OSError, ValueError) as error:
        raise SystemExit(f"device.py: {error}") from None


if __name__ == "__main__":
    main()
