"""Keeps the state of a fine-tuning, so that a killed one goes on."""

import pathlib

import keras
import ml_collections
from absl import logging

from pipeline.data import manifest
from pipeline.results.layout import Layout
from pipeline.results.versions import VERSIONS
from pipeline.storage import fingerprint
from pipeline.training import checkpoint


class Resuming:
    """Writes a state every so many steps, and reads it in a later run.

    Attributes:
        taken: Steps that earlier runs took.
    """

    def __init__(self, config: ml_collections.ConfigDict, layout: Layout):
        """Takes what the fine-tuning depends on; reads nothing yet."""
        self.taken = 0
        self._path = layout.fine_tuning
        self._every = config.quantize.checkpoint_steps
        self._made_from = _made_from(config, layout)

    def restore(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer
    ) -> int:
        """Reads the state, if there is one of the same fine-tuning.

        Returns:
            The steps that it has taken, or 0.

        Raises:
            ValueError: If the file is damaged.
        """
        found = checkpoint.restore(
            self._path, self._made_from, model, optimizer
        )
        self.taken = found.step
        if self.taken:
            logging.info("going on after step %d", self.taken)
        return self.taken

    def save(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        steps: int,
    ) -> None:
        """Writes the state, if it is time."""
        if self._every and steps % self._every == 0:
            progress = checkpoint.Progress(
                step=steps, fingerprint=self._made_from
            )
            checkpoint.save(self._path, progress, model, optimizer)

    def forget(self) -> None:
        """Removes the state, of which there is no more need."""
        pathlib.Path(self._path).unlink(missing_ok=True)


def _made_from(config: ml_collections.ConfigDict, layout: Layout) -> str:
    """Returns a hash of all that the weights depend on."""
    settings = config.quantize.to_dict()
    del settings["checkpoint_steps"]  # Changes no weight.
    return fingerprint.of(
        VERSIONS["quantize"],
        settings,
        config.model.to_dict(),
        config.train.to_dict(),
        config.seed,
        manifest.read(layout.data),
        fingerprint.of_files({"float_model": str(layout.float_model)}),
    )
