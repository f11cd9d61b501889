"""Keeps the servers that Beam starts in this process off the network.

Beam's workers and their driver talk over gRPC, without authentication. They are
on one machine here, but Beam's servers listen on all of its addresses and have
no option for that.
"""

import contextlib
import functools
from collections.abc import Iterator

import grpc


@contextlib.contextmanager
def only() -> Iterator[None]:
    """Lets gRPC servers that are made in the block listen on localhost only."""
    make = grpc.server

    @functools.wraps(make)
    def server(*args, **kwargs) -> grpc.Server:
        made = make(*args, **kwargs)
        listen = made.add_insecure_port
        made.add_insecure_port = lambda address: listen(_on_localhost(address))
        return made

    grpc.server = server
    try:
        yield
    finally:
        grpc.server = make


def _on_localhost(address: str) -> str:
    """Replaces the host of an address, such as that of "[::]:0"."""
    return f"localhost:{address.rpartition(':')[2]}"
