"""Where the stages of an experiment keep what they make."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Layout:
    """The paths of a working directory.

    Attributes:
        root: The directory itself, `--workdir`.
    """

    root: pathlib.Path

    @property
    def config(self) -> pathlib.Path:
        """The configuration of the last run, as JSON."""
        return self.root / "config.json"

    @property
    def data(self) -> pathlib.Path:
        """TFRecord shards and their manifest."""
        return self.root / "data"

    @property
    def data_manifest(self) -> pathlib.Path:
        """The manifest of the data set."""
        return self.data / "manifest.json"

    @property
    def training(self) -> pathlib.Path:
        """Checkpoints of a training that may still be under way."""
        return self.root / "training"

    @property
    def logs(self) -> pathlib.Path:
        """TensorBoard events."""
        return self.root / "logs"

    @property
    def float_model(self) -> pathlib.Path:
        """The trained Keras 3 model."""
        return self.root / "model" / "float.keras"

    @property
    def float_predictions(self) -> pathlib.Path:
        """Its logits on two splits: see pipeline.results.predictions."""
        return self.root / "model" / "float_predictions.npz"

    @property
    def qat_model(self) -> pathlib.Path:
        """The model with fake quantization, a SavedModel."""
        return self.root / "model" / "qat.savedmodel"

    @property
    def qat_predictions(self) -> pathlib.Path:
        """Its logits on the test split, kept with it."""
        return self.qat_model / "predictions.npz"

    @property
    def tflite(self) -> pathlib.Path:
        """The int8 model with every exit, and its predictions."""
        return self.root / "tflite"

    @property
    def tflite_model(self) -> pathlib.Path:
        """One int8 TFLite model with every exit."""
        return self.tflite / "model.tflite"

    @property
    def predictions(self) -> pathlib.Path:
        """Logits of the int8 model: see pipeline.results.predictions."""
        return self.tflite / "predictions.npz"

    @property
    def bundle(self) -> pathlib.Path:
        """What ships to a device."""
        return self.root / "bundle"

    @property
    def bundle_manifest(self) -> pathlib.Path:
        """What it says of itself, and its policy."""
        return self.bundle / "manifest.json"

    @property
    def results(self) -> pathlib.Path:
        """What each stage measured: see pipeline.results.stage_results."""
        return self.root / "results"

    def results_of(self, stage: str) -> pathlib.Path:
        """What one stage measured, as JSON."""
        return self.results / f"{stage}.json"

    @property
    def converted(self) -> pathlib.Path:
        """What `convert` measured, among it the policies that it tried."""
        return self.results_of("convert")

    @property
    def metrics(self) -> pathlib.Path:
        """Accuracy, cost and latency of every exit: all results that fit."""
        return self.root / "metrics.json"

    @property
    def exits_table(self) -> pathlib.Path:
        """The exits in it, as CSV."""
        return self.root / "exits.csv"

    @property
    def curves_table(self) -> pathlib.Path:
        """The curves in it, as CSV."""
        return self.root / "curves.csv"

    @property
    def benchmark(self) -> pathlib.Path:
        """Times and memory of all that was measured side by side."""
        return self.root / "benchmark"

    @property
    def benchmark_table(self) -> pathlib.Path:
        """The same as CSV."""
        return self.benchmark / "benchmark.csv"

    @property
    def benchmark_json(self) -> pathlib.Path:
        """The same as JSON, with ratios, machine and versions."""
        return self.benchmark / "benchmark.json"

    @property
    def report(self) -> pathlib.Path:
        """The page that shows them."""
        return self.root / "report" / "index.html"

    @property
    def stages(self) -> pathlib.Path:
        """What each finished stage was made from."""
        return self.root / "stages"
