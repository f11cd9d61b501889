"""Runs Google Cloud Storage on this machine, for tests of gs:// paths.

Beam's filesystem and Google's client are the real ones; the server is
gcp-storage-emulator, in memory, in a thread of the test process. Workers in
other processes find the server, but not that it wants no credentials.
"""

import contextlib
import functools
import http.server
import logging
import os
import threading
from collections.abc import Iterator
from unittest import mock

from apache_beam.internal.gcp import auth
from gcp_storage_emulator import server
from gcp_storage_emulator.handlers import buckets
from gcp_storage_emulator.storage import Storage


@contextlib.contextmanager
def bucket(name: str = "images") -> Iterator[str]:
    """Yields "gs://NAME", an empty bucket that lasts as long as the block."""
    storage = Storage(use_memory_fs=True)
    buckets.create_bucket(name, storage)
    handler = functools.partial(server.RequestHandler, storage)
    logging.getLogger(server.__name__).setLevel(logging.ERROR)
    with http.server.HTTPServer(("localhost", 0), handler) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        address = f"http://localhost:{listener.server_port}"
        try:
            with (
                mock.patch.dict(os.environ, STORAGE_EMULATOR_HOST=address),
                # Beam would look for credentials, for half a minute.
                mock.patch.multiple(
                    auth._Credentials, _credentials_init=True, _credentials=None
                ),
            ):
                yield f"gs://{name}"
        finally:
            listener.shutdown()
            thread.join()
