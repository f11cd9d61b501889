"""Runs a bundle's last segments for devices that run the first ones.

    python server.py BUNDLE [--port=0]

It listens on this machine alone (127.0.0.1), and prints the port. A message of
a device has the hash of the bundle, the operating point, the logits of the
exits so far and the tensors that cross; the answer has the exit at which the
policy stops, and its probabilities. What cannot be answered gets the reason.
"""

import argparse
import socketserver
import threading

import numpy as np
import wire

from keras_dynamic.exits.decision import confidence
from tflite.runtime import interpreter
from tflite.runtime.chain_part import ChainPart
from tflite.runtime.open_bundle import OpenBundle

# A device that sends nothing for so long is left.
IDLE_SECONDS = 60.0


class Rest:
    """Answers for the segments behind the cut.

    Args:
        path: A bundle with `place: "server"`, or its bundle.zip.

    Raises:
        ValueError: If it has no such segments, or is not sound.
    """

    def __init__(self, path: str):
        opened = OpenBundle(path, interpreter.Options())
        self._bundle = opened.bundle
        self._first = self._bundle.device_exits
        if self._first == len(self._bundle.ends):
            raise ValueError(
                'the bundle must have segments with `place: "server"`. '
                f"Received: {path}; see place.py"
            )
        begin = self._bundle.ends[self._first - 1] + 1
        self._before = ChainPart(opened, 0, begin)
        self._part = ChainPart(opened, begin, len(self._bundle.segments))
        self._lock = threading.Lock()

    def answer(self, facts, tensors) -> tuple[dict, dict[str, np.ndarray]]:
        """Returns the answer to a device's message.

        Raises:
            ValueError: If the message is of another bundle, or not complete.
        """
        hashes = [each.sha256 for each in self._bundle.segments]
        if facts.get("segments") != hashes:
            raise ValueError("the bundle must be that of the server")
        point = facts.get("point")
        points = {None: self._bundle.policy, **self._bundle.operating_points}
        is_name = point is None or type(point) is str
        if not is_name or point not in points:
            known = sorted(self._bundle.operating_points)
            raise ValueError(f"`point` must be one of {known}")
        policy = points[point]
        state = policy.begin()
        for exit in range(self._first):
            logits = tensors.pop(f"logits_{exit}", None)
            if logits is None or logits.shape != (len(self._bundle.labels),):
                raise ValueError(f"the logits of exit {exit} must be there")
            if policy.looks_at(exit):
                seen = confidence.softmax(
                    self._before.numbers(exit, logits),
                    policy.temperatures[exit],
                )
                _, state = policy.step(exit, seen, state)
        with self._lock:
            for exit, logits, _ in self._part.exits_of(tensors):
                if not policy.looks_at(exit):
                    continue
                probabilities = confidence.softmax(
                    self._part.numbers(exit, logits), policy.temperatures[exit]
                )
                leaves, state = policy.step(exit, probabilities, state)
                if leaves:
                    break
        return {"exit": exit}, {"probabilities": probabilities}


class _Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            deadline = wire.Deadline(IDLE_SECONDS)
            try:
                facts, tensors = wire.receive(self.request, deadline)
            except (EOFError, OSError):
                return
            except wire.BadMessage as error:
                # Where the next message begins is not known.
                self._send({"error": str(error)}, {})
                return
            try:
                answer = self.server.rest.answer(facts, tensors)
            except ValueError as error:
                answer = {"error": str(error)}, {}
            if not self._send(*answer):
                return

    def _send(self, facts, tensors) -> bool:
        try:
            wire.send(self.request, facts, tensors, wire.Deadline(IDLE_SECONDS))
        except OSError:
            return False
        return True


class Server(socketserver.ThreadingTCPServer):
    """Serves devices, each in a thread of its own.

    Args:
        rest: What answers.
        port: Of this machine; 0 for one that is free.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, rest: Rest, port: int = 0):
        super().__init__(("127.0.0.1", port), _Handler)
        self.rest = rest


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    try:
        server = Server(Rest(given.bundle), given.port)
    except (OSError, OverflowError, ValueError) as error:
        raise SystemExit(f"server.py: {error}") from None
    print(server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
