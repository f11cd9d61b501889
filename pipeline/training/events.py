"""What TensorBoard shows, written without TensorFlow."""

import io
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.scalar import summary_v2
from tensorboard.summary.writer import event_file_writer


class Events:
    """A file of events in a directory, until it is closed."""

    def __init__(self, directory: Path):
        """Begins a new file.

        Args:
            directory: That TensorBoard is given; made if it is not there.
        """
        self._writer = event_file_writer.EventFileWriter(str(directory))

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers by name; names with a common prefix share a group."""
        for name, value in values.items():
            self._add(step, summary_v2.scalar_pb(name, value))
        self._writer.flush()

    def images(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Writes images.

        Args:
            step: As of `scalars`.
            name: Of them all; each gets its number.
            pixels: float [N, H, W, C] in [0, 1], of one or three channels.
        """
        scaled = np.clip(255 * pixels, 0, 255).round().astype(np.uint8)
        values = []
        for number, each in enumerate(scaled):
            data = io.BytesIO()
            Image.fromarray(each.squeeze()).save(data, "png")
            height, width, channels = each.shape
            image = summary_pb2.Summary.Image(
                height=height,
                width=width,
                colorspace=channels,
                encoded_image_string=data.getvalue(),
            )
            tag = f"{name}/{number}"
            values.append(summary_pb2.Summary.Value(tag=tag, image=image))
        self._add(step, summary_pb2.Summary(value=values))
        self._writer.flush()

    def _add(self, step, summary):
        event = event_pb2.Event(
            wall_time=time.time(), step=step, summary=summary
        )
        self._writer.add_event(event)
