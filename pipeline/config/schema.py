"""The configuration of an experiment: its schema, defaults and sources.

A configuration is an `ml_collections.ConfigDict` that `get_config()` of a
Python file returns. `default()` is the schema: a file starts from it and sets
what differs, and whatever `default()` does not have is refused.
"""

import dataclasses
import difflib
import pathlib
import runpy

import ml_collections

from keras_dynamic.exits.fitting import scheduler_fit

CONFIGS = pathlib.Path(__file__).parents[1] / "configs"


class ConfigError(ValueError):
    """A configuration that does not exist or does not fit the schema."""


def default() -> ml_collections.ConfigDict:
    """The schema of a configuration, with its default values."""
    config = ml_collections.ConfigDict()
    config.name = ""
    config.seed = 0
    # A split of more pixels is read from its shards as it is trained on.
    config.memory_gib = 4.0

    # What `prepare` reads; see pipeline.prepare.prepare_images.DataConfig.
    config.data = ml_collections.ConfigDict()
    config.data.source = "image_folder"
    # Arguments of the source, such as {"path": "photos"}.
    config.data.source_options = ml_collections.ConfigDict()
    config.data.size = 32
    config.data.channels = 3
    config.data.fractions = ml_collections.ConfigDict(
        {"validation": 0.1, "calibration": 0.1, "test": 0.1}
    )
    config.data.shard_images = 5000
    # "raw" pixels, "encoded" files, or "auto": raw up to `raw_bytes` an image.
    config.data.storage = "auto"
    config.data.raw_bytes = 12_288
    # "keep" or "drop" exact copies of an image.
    config.data.duplicates = "keep"
    # What is set aside: smaller images, larger ones, other Pillow modes.
    config.data.min_side = 1
    config.data.max_pixels = 64_000_000
    config.data.modes = ()
    config.data.max_rejected = 0.01
    # Where the data set goes, such as "gs://bucket/photos"; the working
    # directory then gets a copy, or a link to another local directory.
    config.data.directory = ""
    # Another seed gives other splits; `config.seed` is that of training.
    config.data.seed = 0

    config.model = ml_collections.ConfigDict()
    config.model.family = "ranet"
    # Height and width of the input; stored images may be larger.
    config.model.size = 32
    # 0: as many as the data has.
    config.model.classes = 0
    # Arguments of the family's builder.
    config.model.arguments = ml_collections.ConfigDict()

    config.train = ml_collections.ConfigDict()
    config.train.objective = "joint"
    config.train.objective_arguments = ml_collections.ConfigDict()
    # Gradients of layers that exits share: their mean instead of their sum.
    config.train.gradient_equilibrium = False
    # A trained model, a .keras file: what has the name and the shapes of a
    # layer there starts with its weights; "": all weights at random.
    config.train.initial_weights = ""
    config.train.epochs = 300
    config.train.batch_size = 64
    config.train.learning_rate = 0.1
    # "step": times 0.1 at each milestone, a share of the epochs. "cosine".
    # "linear": up to the learning rate in a share `rise` of the steps, from
    # there down to zero at the last one.
    config.train.schedule = "step"
    config.train.milestones = (0.5, 0.75)
    config.train.rise = 0.2
    config.train.momentum = 0.9
    config.train.nesterov = False
    config.train.weight_decay = 1e-4
    # What decays: "all" trainable weights, as in the papers' code, or "kernels"
    # alone, neither biases nor batch normalization.
    config.train.weight_decay_on = "all"
    # Share of each label that is spread over all classes, in every exit's
    # cross-entropy; in quantization-aware training, too.
    config.train.label_smoothing = 0.0
    # Share that a running average of the weights keeps at each step. The
    # average is what is validated, evaluated and converted; 0: the weights.
    config.train.average_decay = 0.0
    config.train.augmentation = "crop_flip"
    config.train.augmentation_options = ml_collections.ConfigDict()
    # A Keras dtype policy: "float32" or "mixed_bfloat16".
    config.train.precision = "float32"
    # With at most so many cores TensorFlow runs each operation on one of them,
    # several at once; otherwise each on all.
    config.train.core_per_operation_up_to = 0
    # "best": the epoch of highest validation accuracy at the last exit.
    config.train.select = "best"
    # Batches between checkpoints within an epoch; 0: at its end only.
    config.train.checkpoint_steps = 0

    config.quantize = ml_collections.ConfigDict()
    # Batches of fine-tuning; 0 converts the trained model as it is.
    config.quantize.steps = 2000
    config.quantize.batch_size = 64
    config.quantize.learning_rate = 1e-3
    # Batches from which the activation ranges are initialised.
    config.quantize.range_batches = 16

    # How the exit policy of the bundle is fitted on the calibration split; see
    # docs/policies.md.
    config.policy = ml_collections.ConfigDict()
    # "accuracy_drop", "budgeted_drop", "cost_budget", "budgeted_batch",
    # "scheduler", "conformal" or "upper_bound".
    config.policy.rule = "accuracy_drop"
    # What makes an exit sure: "max_probability", "margin", "entropy",
    # "patience", or "scheduler", which is learned for the budget.
    config.policy.confidence = "max_probability"
    # accuracy_drop, budgeted_drop: largest loss against the last exit, in
    # percentage points.
    config.policy.max_drop_points = 0.5
    # budgeted_batch: exit k gets a share proportional to q to the power k; 0
    # takes the largest q that the budget pays for.
    config.policy.q = 0.5
    # Highest mean cost of an image, as a share of the last exit's.
    config.policy.budget = 0.5
    # Cost up to each exit in measured milliseconds; none: in multiply-adds.
    config.policy.exit_ms = ()
    # conformal, upper_bound: largest loss against the last exit, in percentage
    # points; of what ("accuracy_gap" or "inconsistency"); and with what
    # probability upper_bound may be wrong.
    config.policy.epsilon_points = 1.0
    config.policy.risk = "accuracy_gap"
    config.policy.delta = 0.1
    # How a scheduler is learned; see keras_dynamic.exits.Training.
    config.policy.scheduler = ml_collections.ConfigDict(
        dataclasses.asdict(scheduler_fit.FASTER)
    )

    config.check = ml_collections.ConfigDict()
    # Largest loss of an exit's int8 accuracy against float, in points.
    config.check.max_points = 1.0
    # A larger loss counts unless chance tells two equally good models as far
    # apart, on these test images, with a higher probability; at 1 it always
    # counts.
    config.check.level = 0.05

    config.benchmark = ml_collections.ConfigDict()
    # Rounds that are not counted, and rounds that are; in each, every
    # contestant runs one image. In random order, by the seed.
    config.benchmark.warmup = 50
    config.benchmark.runs = 1000
    config.benchmark.seed = 0
    # CPU threads of an operator; metrics.json has the first of them.
    config.benchmark.threads = (1, 2)
    # New processes in which load time, first call and memory are measured.
    config.benchmark.starts = 3
    # What else takes part: .tflite files, and working directories, whose
    # tflite/model.tflite does.
    config.benchmark.others = ()
    return config.lock()


def names() -> list[str]:
    """Names of the built-in configurations."""
    files = CONFIGS.glob("[a-z]*.py")
    return sorted(file.stem for file in files)


def path_of(name: str) -> pathlib.Path:
    """The file of a configuration, given a built-in name or a path.

    Raises:
        ConfigError: If there is no such configuration.
    """
    if name.endswith(".py"):
        path = pathlib.Path(name)
        if not path.is_file():
            raise ConfigError(f"`config` must be a file. Received: {name!r}")
        return path
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            "`config` must be the path of a Python file or one of "
            f"{', '.join(names())}. Received: {name!r}.{hint}"
        )
    return CONFIGS / f"{name}.py"


def load(name: str) -> ml_collections.ConfigDict:
    """Loads a configuration by built-in name or path, and validates it.

    Raises:
        ConfigError: If there is no such file, it fails, or what its
            `get_config()` returns does not fit the schema.
    """
    path = path_of(name)
    try:
        config = runpy.run_path(str(path))["get_config"]()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(
            "`config` must be a Python file whose get_config() returns the "
            f"configuration. Received: {path} with {reason}"
        ) from error
    return validated(config)


def validated(
    config: ml_collections.ConfigDict,
) -> ml_collections.ConfigDict:
    """Returns `config` if each of its keys is one of the schema's.

    Raises:
        ConfigError: Naming the key, and the nearest that exists.
    """
    _check_keys(config, default(), "config")
    return config


def check_override(config: ml_collections.ConfigDict, name: str) -> None:
    """Checks that `name`, such as "train.epochs", is a value of `config`.

    Raises:
        ConfigError: Naming the key, and the nearest that exists.
    """
    prefix = "config"
    for key in name.split("."):
        key = key.partition("[")[0]
        if not isinstance(config, ml_collections.ConfigDict):
            raise ConfigError(
                f"`{prefix}` is a value and has no keys. "
                f"Received: {prefix}.{key}"
            )
        _check_key(config, key, prefix)
        config, prefix = config[key], f"{prefix}.{key}"


# What these hold depends on the names beside them; whoever takes the
# arguments checks them.
_OPEN = ("source_options", "arguments", "objective_arguments")
_OPEN += ("augmentation_options",)


def _check_key(config, key, prefix):
    if key not in config:
        near = difflib.get_close_matches(key, list(config), n=1)
        hint = f" Did you mean {prefix}.{near[0]}?" if near else ""
        raise ConfigError(
            f"`{prefix}` has only the keys {', '.join(config) or '(none)'}. "
            f"Received: {prefix}.{key}.{hint}"
        )


def _check_keys(config, schema, prefix):
    if not isinstance(config, ml_collections.ConfigDict):
        raise ConfigError(
            f"`{prefix}` must be a ConfigDict. Received: {config!r}"
        )
    for key in config:
        _check_key(schema, key, prefix)
        value = schema[key]
        if isinstance(value, ml_collections.ConfigDict) and key not in _OPEN:
            _check_keys(config[key], value, f"{prefix}.{key}")
    for key in schema:
        if key not in config:
            raise ConfigError(
                f"`{prefix}` must have every key of the schema: start from "
                f"pipeline.config.default(). Missing: {prefix}.{key}"
            )
