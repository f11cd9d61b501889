"""Names the paths where the stages of an experiment keep their files."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Layout:
    """Names the paths of a working directory.

    Attributes:
        root: The directory itself, `--workdir`.
    """

    root: pathlib.Path

    @property
    def config(self) -> pathlib.Path:
        """Names the file of the configuration of the last run, as JSON."""
        return self.root / "config.json"

    @property
    def data(self) -> pathlib.Path:
        """Names the directory of TFRecord shards and their manifest."""
        return self.root / "data"

    @property
    def data_manifest(self) -> pathlib.Path:
        """Names the manifest of the data set."""
        return self.data / "manifest.json"

    @property
    def training(self) -> pathlib.Path:
        """Names the directory of checkpoints, perhaps of a running training."""
        return self.root / "training"

    @property
    def logs(self) -> pathlib.Path:
        """Names the directory of TensorBoard events."""
        return self.root / "logs"

    @property
    def float_model(self) -> pathlib.Path:
        """Names the file of the trained Keras 3 model."""
        return self.root / "model" / "float.keras"

    @property
    def float_predictions(self) -> pathlib.Path:
        """Names the file of the float model's logits on two splits.

        Its format is that of pipeline.results.predictions.
        """
        return self.root / "model" / "float_predictions.npz"

    @property
    def qat_model(self) -> pathlib.Path:
        """Names the SavedModel with fake quantization."""
        return self.root / "model" / "qat.savedmodel"

    @property
    def qat_predictions(self) -> pathlib.Path:
        """Names the file of the SavedModel's logits on the test split."""
        return self.qat_model / "predictions.npz"

    @property
    def fine_tuning(self) -> pathlib.Path:
        """Names the file of the state of a running fine-tuning."""
        return self.training / "quantize.npz"

    @property
    def tflite(self) -> pathlib.Path:
        """Names the directory of the int8 model with every exit.

        It also holds the model's predictions.
        """
        return self.root / "tflite"

    @property
    def tflite_model(self) -> pathlib.Path:
        """Names the file of the one int8 TFLite model with every exit."""
        return self.tflite / "model.tflite"

    @property
    def predictions(self) -> pathlib.Path:
        """Names the file of the int8 model's logits.

        Its format is that of pipeline.results.predictions.
        """
        return self.tflite / "predictions.npz"

    @property
    def bundle(self) -> pathlib.Path:
        """Names the directory of the bundle, which ships to a device."""
        return self.root / "bundle"

    @property
    def bundle_manifest(self) -> pathlib.Path:
        """Names the manifest of the bundle, with its policy."""
        return self.bundle / "manifest.json"

    @property
    def results(self) -> pathlib.Path:
        """Names the directory of each stage's results.

        They are kept by pipeline.results.stage_results.
        """
        return self.root / "results"

    def results_of(self, stage: str) -> pathlib.Path:
        """Names the file of one stage's results, as JSON."""
        return self.results / f"{stage}.json"

    @property
    def converted(self) -> pathlib.Path:
        """Names the file of `convert`'s results, such as the policies tried."""
        return self.results_of("convert")

    @property
    def metrics(self) -> pathlib.Path:
        """Names the file of all results that fit.

        It holds accuracy, cost and latency of every exit.
        """
        return self.root / "metrics.json"

    @property
    def exits_table(self) -> pathlib.Path:
        """Names the file of the exits in metrics.json, as CSV."""
        return self.root / "exits.csv"

    @property
    def curves_table(self) -> pathlib.Path:
        """Names the file of the curves in metrics.json, as CSV."""
        return self.root / "curves.csv"

    @property
    def benchmark(self) -> pathlib.Path:
        """Names the directory of times and memory, measured side by side."""
        return self.root / "benchmark"

    @property
    def benchmark_table(self) -> pathlib.Path:
        """Names the file of the benchmark's times and memory, as CSV."""
        return self.benchmark / "benchmark.csv"

    @property
    def benchmark_json(self) -> pathlib.Path:
        """Names the file of times and memory as JSON.

        It also holds ratios, machine and versions.
        """
        return self.benchmark / "benchmark.json"

    @property
    def costs(self) -> pathlib.Path:
        """Names the table of milliseconds per segment."""
        return self.benchmark / "costs.json"

    @property
    def report(self) -> pathlib.Path:
        """Names the page that shows the results."""
        return self.root / "report" / "index.html"

    @property
    def stages(self) -> pathlib.Path:
        """Names the directory of the marks of finished stages.

        A mark tells what its stage was made from.
        """
        return self.root / "stages"
