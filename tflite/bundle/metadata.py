"""Attaches tflite-support metadata, so that Android tooling reads a segment.

It is always the last write to a .tflite: the labels are a zip behind the
flatbuffer, which packing the model again would drop. The policy, which may
change after that, is in the bundle's manifest alone.
"""

import ctypes
import io
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np

from tflite.bundle import archive
from tflite.format import model_file

LABELS = "labels.txt"
_ENTRY = "TFLITE_METADATA"
_INT8 = 9  # TensorType.INT8
_COLOR_SPACES = {1: 2, 3: 1}  # Channels -> ColorSpaceType GRAYSCALE, RGB.

Files = Mapping[str, bytes]


def attach(
    model: bytes,
    *,
    name: str,
    description: str,
    labels: Sequence[str],
    logits_name: str | None,
    image_name: str,
    version: str = "",
) -> bytes:
    """Returns `model` with metadata; its results stay the same.

    Args:
        model: A .tflite file without metadata.
        name: Name of the model.
        description: Description of the model.
        labels: One per class; they become the file `labels.txt`.
        logits_name: The output that the labels belong to. None if it has none
            and so needs no labels: a segment that ends no exit.
        image_name: The input that takes the image, if this segment has it.
            Pixels go in as p / 255, quantized by the tensor's own scale; its
            statistics are the range of the stored values. Any other input or
            output is described as a tensor between segments.
        version: Version of the model.

    Raises:
        flatbuffer.InvalidModel: if `model` is damaged.
        ValueError: if it has metadata, or lacks an output `logits_name`, or
            `image_name` is no image.
        ImportError: if tflite-support is not installed.
    """
    whole = model_file.read(model)
    graph = whole.subgraphs[0]
    entries = [model_file.text(entry.name) for entry in whole.metadata or []]
    outputs = [model_file.text(graph.tensors[i].name) for i in graph.outputs]
    if _ENTRY in entries:
        raise ValueError(
            f"`model` must have no metadata yet. Received: {entries}"
        )
    if logits_name not in (None, *outputs):
        raise ValueError(
            f"`logits_name` must be one of {outputs}. Received: {logits_name!r}"
        )
    metadata, schema = _tflite_support()

    def described(index: int) -> object:
        tensor = graph.tensors[index]
        if model_file.text(tensor.name) == image_name:
            return _image(schema, tensor)
        if model_file.text(tensor.name) == logits_name:
            return _logits(schema, tensor)
        return _tensor(schema, tensor, "Passes from one segment to another.")

    subgraph = schema.SubGraphMetadataT()
    subgraph.inputTensorMetadata = [described(i) for i in graph.inputs]
    subgraph.outputTensorMetadata = [described(i) for i in graph.outputs]
    root = schema.ModelMetadataT()
    root.name, root.description = name, description
    root.version, root.author = version, ""
    root.subgraphMetadata = [subgraph]
    files = {}
    if logits_name is not None:
        files[LABELS] = "".join(f"{label}\n" for label in labels).encode()
    facts = _checked(metadata, model, root, files)
    return _with_files(_with_entry(whole, facts), files)


def available() -> bool:
    """Tells whether `attach` finds the packages that it needs."""
    try:
        _tflite_support()
    except ImportError:
        return False
    return True


def _tflite_support():
    """Imports the metadata modules; an extension of theirs needs libusb."""
    try:
        import libusb_package

        library = str(libusb_package.get_library_path())
        ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
        from tensorflow_lite_support.metadata import (
            metadata_schema_py_generated as schema,
        )
        from tensorflow_lite_support.metadata.python import metadata
    except ImportError as error:
        raise ImportError(
            "Metadata needs tflite-support and libusb-package: install "
            f"keras-dynamic[support]. ({error})"
        ) from error
    return metadata, schema


def _tensor(schema, tensor, description: str):
    facts = schema.TensorMetadataT()
    facts.name, facts.description = model_file.text(tensor.name), description
    facts.content = schema.ContentT()
    kinds = schema.ContentProperties
    facts.content.contentPropertiesType = kinds.FeatureProperties
    facts.content.contentProperties = schema.FeaturePropertiesT()
    return facts


def _image(schema, tensor):
    facts = _tensor(schema, tensor, "The image: pixel / 255, then quantized.")
    if len(tensor.shape) != 4:
        raise ValueError(
            "`image_name` must name an input of shape [1, H, W, C]. "
            f"Received: {model_file.text(tensor.name)!r} of "
            f"{list(tensor.shape)}"
        )
    _, height, width, channels = map(int, tensor.shape)
    image = schema.ImagePropertiesT()
    image.colorSpace = _COLOR_SPACES.get(channels, 0)
    image.defaultSize = schema.ImageSizeT()
    image.defaultSize.width, image.defaultSize.height = width, height
    kinds = schema.ContentProperties
    facts.content.contentPropertiesType = kinds.ImageProperties
    facts.content.contentProperties = image
    unit = schema.ProcessUnitT()
    unit.optionsType = schema.ProcessUnitOptions.NormalizationOptions
    unit.options = schema.NormalizationOptionsT()
    unit.options.mean, unit.options.std = [0.0], [255.0]
    facts.processUnits = [unit]
    facts.stats = schema.StatsT()
    low, high = (-128.0, 127.0) if tensor.type == _INT8 else (0.0, 1.0)
    facts.stats.min, facts.stats.max = [low], [high]
    return facts


def _logits(schema, tensor):
    facts = _tensor(schema, tensor, "Logits; softmax gives probabilities.")
    file = _file(schema, LABELS, "The classes, one per line.")
    file.type = schema.AssociatedFileType.TENSOR_AXIS_LABELS
    facts.associatedFiles = [file]
    return facts


def _file(schema, name: str, description: str):
    file = schema.AssociatedFileT()
    file.name, file.description = name, description
    return file


def _checked(metadata, model: bytes, root, files: Files) -> bytes:
    """Lets tflite-support check the metadata and add the parser version.

    Only the metadata is taken from the model that it populates: it would pack
    the model by its schema of 2023, which lacks newer fields, and put the time
    of day into the zip.
    """
    import flatbuffers

    builder = flatbuffers.Builder(0)
    identifier = metadata.MetadataPopulator.METADATA_FILE_IDENTIFIER
    builder.Finish(root.Pack(builder), identifier)
    populator = metadata.MetadataPopulator.with_model_buffer(model)
    populator.load_metadata_buffer(bytes(builder.Output()))
    populator.load_associated_file_buffers(files)
    populator.populate()
    return bytes(metadata.get_metadata_buffer(populator.get_model_buffer()))


def _with_entry(whole, facts: bytes) -> bytes:
    from ai_edge_litert import schema_py_generated as schema

    entry = schema.MetadataT(_ENTRY, len(whole.buffers))
    whole.buffers.append(schema.BufferT(np.frombuffer(facts, np.uint8)))
    whole.metadata = [*(whole.metadata or []), entry]
    return model_file.write(whole)


def _with_files(model: bytes, files: Files) -> bytes:
    if not files:
        return model
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a") as appended:
        for name, data in files.items():
            appended.writestr(zipfile.ZipInfo(name, archive.EARLIEST), data)
    return file.getvalue()
