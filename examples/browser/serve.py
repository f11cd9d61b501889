"""Serves the page, a bundle and its test images on this machine alone.

python examples/browser/serve.py runs/demo [PORT]
"""

import functools
import http.server
import json
import pathlib
import sys

import numpy as np

from pipeline.data import dataset
from pipeline.processes.printing import show
from pipeline.results.layout import Layout

_PAGE = pathlib.Path(__file__).parent


class Handler(http.server.SimpleHTTPRequestHandler):
    """Answers with the page's files and those of a finished run."""

    def __init__(self, *args, bundle: pathlib.Path, made: dict, **kwargs):
        self._bundle = bundle
        self._made = made
        super().__init__(*args, directory=str(_PAGE), **kwargs)

    def do_GET(self) -> None:
        """Answers images from memory, everything else from the disk."""
        content = self._made.get(self.path.split("?")[0])
        if content is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def translate_path(self, path: str) -> str:
        """Returns where a file is: /bundle/ and /bundle.zip are the run's."""
        name = path.split("?")[0]
        if name == "/bundle.zip" or name.startswith("/bundle/"):
            return str(self._bundle / pathlib.PurePosixPath(name).name)
        return super().translate_path(path)

    def log_message(self, *_: object) -> None:
        """Keeps silent."""


def server(
    workdir: pathlib.Path, port: int = 0
) -> http.server.ThreadingHTTPServer:
    """Returns a server for a working directory, on the loopback address.

    Args:
        workdir: Of a finished `keras-dynamic run`.
        port: 0 for any that is free.

    Raises:
        ValueError: if the working directory has no bundle or no test images.
    """
    layout = Layout(pathlib.Path(workdir))
    bundle = pathlib.Path(workdir) / "bundle"
    for file in (bundle / "bundle.zip", _PAGE / "node_modules"):
        if not file.exists():
            raise ValueError(
                f"`{file}` must exist: `make browser-demo` makes it. "
                "Received: no such file"
            )
    images = dataset.load(layout.data, "test")
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    shape = manifest["input"]["shape"]
    names = (bundle / "labels.txt").read_text(encoding="utf-8").splitlines()
    facts = {
        "keys": list(images.keys),
        "truths": [names[label] for label in images.labels],
    }
    made = {
        "/images.json": json.dumps(facts).encode(),
        "/images.bin": _cropped(
            images.take(np.arange(len(images))), shape
        ).tobytes(),
    }
    answer = functools.partial(Handler, bundle=bundle, made=made)
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), answer)


def _cropped(images: np.ndarray, shape: list[int]) -> np.ndarray:
    """Returns the centres of images, as the bundle's `input.fit` says."""
    top, left = (
        (stored - kept) // 2
        for stored, kept in zip(images.shape[1:3], shape[:2], strict=True)
    )
    return images[:, top : top + shape[0], left : left + shape[1]]


def main() -> None:
    """Serves until Ctrl-C."""
    workdir, *rest = sys.argv[1:] or ["runs/demo"]
    try:
        served = server(pathlib.Path(workdir), int(rest[0]) if rest else 8000)
    except (ValueError, OSError) as error:
        sys.exit(f"browser-demo: error: {error}")
    show(f"http://127.0.0.1:{served.server_port}/ ; Ctrl-C ends it")
    try:
        served.serve_forever()
    except KeyboardInterrupt:
        served.server_close()


if __name__ == "__main__":
    main()
