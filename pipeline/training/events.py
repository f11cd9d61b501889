"""Writes the files that TensorBoard shows, without TensorFlow.

As Keras's own callback does, each part of an experiment is a run of its own, a
subdirectory: `train`, `validation`, `quantize`. TensorBoard draws what has one
name in several runs in one chart, so training and validation lie over each
other; names with a common beginning, up to the first slash, share a group that
can be folded.
"""

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
    """Writes files of events, one per run, until they are closed."""

    def __init__(self, directory: Path):
        """Prepares a directory to be written to.

        Args:
            directory: Directory that TensorBoard is given. A run gets a
                subdirectory and a new file in it when it is first written to.
        """
        self._directory = directory
        self._writers: dict[str, event_file_writer.EventFileWriter] = {}

    def close(self) -> None:
        """Writes the events that are left, and closes the files."""
        for writer in self._writers.values():
            writer.close()

    def scalars(self, run: str, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers by name.

        Args:
            run: Name of the run, its subdirectory.
            step: Place on the horizontal axis: an epoch or a batch, from 1.
            values: Numbers by name, as in "accuracy/exit_0".
        """
        for name, value in values.items():
            self._add(run, step, summary_v2.scalar_pb(name, value))
        self._writers[run].flush()

    def images(
        self, run: str, step: int, name: str, pixels: np.ndarray
    ) -> None:
        """Writes images.

        Args:
            run: Name of the run, its subdirectory.
            step: Place on the horizontal axis: an epoch or a batch, from 1.
            name: Name of them all; each gets its number.
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
        self._add(run, step, summary_pb2.Summary(value=values))
        self._writers[run].flush()

    def _add(self, run, step, summary):
        if run not in self._writers:
            self._writers[run] = event_file_writer.EventFileWriter(
                str(self._directory / run)
            )
        event = event_pb2.Event(
            wall_time=time.time(), step=step, summary=summary
        )
        self._writers[run].add_event(event)
