"""Sends and receives messages over a socket: JSON and the bytes of tensors.

A message is two lengths (unsigned, 4 bytes each, big-endian), that many bytes
of a JSON object, and that many bytes of tensors, one behind the other as its
key `tensors` lists them: [name, type, shape].
"""

import json
import math
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

_LENGTHS = struct.Struct(">II")
# More than any bundle's tensors: what an unknown peer may make one allocate.
_MOST_JSON, _MOST_BYTES = 2**20, 2**26
_TYPES = ("int8", "float32", "float64")


class BadMessage(ValueError):
    """Says that a peer did not send what it should."""


class Deadline:
    """Gives each wait on a socket what is left of some seconds.

    Args:
        seconds: From now.
    """

    def __init__(self, seconds: float):
        self._end = time.monotonic() + seconds

    def apply(self, connection: socket.socket) -> None:
        """Sets the time that the next call on a socket may take.

        Raises:
            TimeoutError: If nothing is left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("no time is left")
        connection.settimeout(left)


def send(
    connection: socket.socket,
    facts: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    deadline: Deadline,
) -> int:
    """Sends a message; returns its bytes.

    Raises:
        OSError: If the peer is gone, or the deadline over (TimeoutError).
    """
    listed = [
        [name, each.dtype.name, list(each.shape)]
        for name, each in tensors.items()
    ]
    text = json.dumps({**facts, "tensors": listed}).encode()
    data = b"".join(each.tobytes() for each in tensors.values())
    message = _LENGTHS.pack(len(text), len(data)) + text + data
    deadline.apply(connection)
    connection.sendall(message)
    return len(message)


def receive(
    connection: socket.socket, deadline: Deadline
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Receives a message: its facts, and its tensors by name.

    Raises:
        EOFError: If the peer has closed, and sent nothing more.
        BadMessage: If it is no message, or longer than one may be.
        OSError: If the peer is gone, or the deadline over (TimeoutError).
    """
    lengths = _exactly(connection, _LENGTHS.size, deadline)
    text_bytes, data_bytes = _LENGTHS.unpack(lengths)
    if text_bytes > _MOST_JSON or data_bytes > _MOST_BYTES:
        raise BadMessage(
            f"a message must have at most {_MOST_JSON} bytes of JSON and "
            f"{_MOST_BYTES} of tensors. Received: {text_bytes}, {data_bytes}"
        )
    text = _exactly(connection, text_bytes, deadline)
    data = _exactly(connection, data_bytes, deadline)
    try:
        facts = json.loads(text)
        listed = facts.pop("tensors")
        return facts, _tensors(listed, data)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise BadMessage(
            f"a message must list its tensors. Received: {error}"
        ) from error


def _tensors(listed, data) -> dict[str, np.ndarray]:
    found, begin = {}, 0
    for name, dtype, shape in listed:
        sizes = all(type(each) is int and each > 0 for each in shape)
        if type(name) is not str or dtype not in _TYPES or not sizes:
            raise ValueError(f"{name!r} of {dtype!r} and {shape!r}")
        end = begin + math.prod(shape) * np.dtype(dtype).itemsize
        if end > len(data):
            raise ValueError(f"{name!r} with too few bytes")
        found[name] = np.frombuffer(data[begin:end], dtype).reshape(shape)
        begin = end
    if begin != len(data):
        raise ValueError(f"{len(data) - begin} bytes of no tensor")
    return found


def _exactly(connection, count, deadline) -> bytes:
    found = bytearray()
    while len(found) < count:
        deadline.apply(connection)
        piece = connection.recv(min(count - len(found), 2**16))
        if not piece:
            raise EOFError("the peer has closed")
        found += piece
    return bytes(found)
