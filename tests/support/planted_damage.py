"""Makes a small experiment on the digits, and breaks its int8 model.

Its convolutions are random and its heads are solved for, so that nothing has to
be trained.
"""

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from sklearn import datasets

from keras_dynamic.graph import cost
from pipeline import config
from pipeline.quantization.convert import convert
from pipeline.results import predictions, stage_results
from pipeline.results.layout import Layout
from pipeline.results.predictions import Predictions
from pipeline.training import trained_model
from tests.support import prepared_data
from tflite.diagnosis import stored_numbers
from tflite.format import model_file
from tflite.quantization import bridge, conversion

SIZE = 8
SPLITS = {"train": 900, "validation": 10, "calibration": 287, "test": 600}


def digits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns images uint8 [N, 8, 8, 1] and labels of each split."""
    found = datasets.load_digits()
    images = (found.images * 255 / 16).astype(np.uint8)[..., None]
    cuts = np.cumsum(list(SPLITS.values()))[:-1]
    return dict(
        zip(
            SPLITS,
            zip(
                np.split(images, cuts),
                np.split(found.target.astype(np.int32), cuts),
                strict=True,
            ),
            strict=True,
        )
    )


def settings():
    made = config.load("ranet_digits")
    with made.unlocked():
        made.model.size = made.data.size = SIZE
        made.data.channels = 1
        made.policy.rule, made.policy.q = "budgeted_batch", 0.6
        made.check.max_points = 100.0
    return made


def network(images: np.ndarray, labels: np.ndarray):
    """Builds three convolutions and two exits."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers

    def block(x, name, filters, strides=1):
        conv = layers.Conv2D(
            filters, 3, strides, padding="same", name=f"{name}_conv"
        )
        return layers.ReLU(name=f"{name}_relu")(conv(x))

    def head(x, name):
        return layers.Dense(10, name=name)(layers.Flatten()(x))

    image = keras.Input((SIZE, SIZE, 1), name="image")
    middle = block(block(image, "stem", 12), "middle", 16, 2)
    deep = block(middle, "deep", 32)
    made = keras.Model(image, [head(middle, "exit_0"), head(deep, "exit_1")])
    wanted = 8 * np.eye(10)[labels] - 4
    pixels = images.astype(np.float32) / 255
    for name in ("exit_0", "exit_1"):
        dense = made.get_layer(name)
        features = keras.Model(image, dense.input).predict(pixels, verbose=0)
        features = np.c_[features, np.ones(len(features))].astype(np.float64)
        ridge = features.T @ features + 1e-1 * np.eye(features.shape[1])
        solved = np.linalg.solve(ridge, features.T @ wanted)
        dense.set_weights([solved[:-1], solved[-1]])
    return made


def converted(made, samples: np.ndarray, directory) -> bytes:
    """Converts a Keras model to int8, with the names that our models have."""
    import tensorflow as tf

    module = tf.Module()
    module.kept = bridge.to_tf_keras(made)

    @tf.function(
        input_signature=[tf.TensorSpec((1, SIZE, SIZE, 1), name="image")]
    )
    def serve(image):
        return {f"exit_{k}": each for k, each in enumerate(module.kept(image))}

    tf.saved_model.save(module, str(directory), signatures=serve)
    floats = samples[:, None] / np.float32(255)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(directory))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([each] for each in floats)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return converter.convert()


def prepare(layout: Layout, members) -> None:
    layout.data.mkdir(parents=True, exist_ok=True)
    prepared_data.write(layout.data, members, shard_images=1000)


def make(directory, scratch) -> Layout:
    """Makes a working directory up to `convert`."""
    layout, members = Layout(directory), digits()
    prepare(layout, members)
    made = network(*members["train"])
    layout.float_model.parent.mkdir()
    made.save(layout.float_model)
    said = {
        split: trained_model.predict(
            made, layout.data, split, size=SIZE, memory=2**30
        )
        for split in ("calibration", "test")
    }
    predictions.save(layout.float_predictions, **said)
    layout.qat_model.mkdir()
    predictions.save(layout.qat_predictions, test=said["test"])
    accuracies = said["test"].accuracies()
    rows = [
        {
            "exit": each.exit,
            "madds": each.madds,
            "madds_paper": each.madds_paper,
            "params": each.params,
            "accuracy": {"float": accuracy, "qat": accuracy},
        }
        for each, accuracy in zip(
            cost.exit_costs(made), accuracies, strict=True
        )
    ]
    stage_results.keep(layout, "evaluate", {"exits": rows}, {})
    stage_results.publish(layout)
    ship(layout, converted(made, members["train"][0][:64], scratch))
    return layout


def ship(layout: Layout, model: bytes) -> None:
    """Does what `convert` does if the converter gives this model."""
    original = conversion.convert
    conversion.convert = lambda *_: model
    try:
        convert(settings(), layout)
        stage_results.publish(layout)
    finally:
        conversion.convert = original


def reanswer(layout: Layout, labels: np.ndarray) -> None:
    """Says of the float predictions that the labels are others."""
    said = predictions.load(layout.float_predictions, "test")
    predictions.save(
        layout.float_predictions, test=Predictions(labels, said.logits)
    )


def _operator(contents, layer: str, code: str):
    """Returns the operator of a kind that a layer became."""
    graph = contents.subgraphs[0]
    for operator in graph.operators:
        name = model_file.operator_name(
            contents.operatorCodes[operator.opcodeIndex]
        )
        weights = operator.inputs[1] if name == code else -1
        if weights >= 0 and layer in _named(graph, operator):
            return operator
    raise LookupError(layer)


def _named(graph, operator) -> str:
    tensors = [*operator.outputs, *operator.inputs[1:]]
    return " ".join(graph.tensors[i].name.decode() for i in tensors)


def coarsened(model: bytes, layer: str, step: int) -> bytes:
    """Leaves of a convolution's weights the multiples of a step."""
    contents = model_file.read(model)
    operator = _operator(contents, layer, "CONV_2D")
    tensor = contents.subgraphs[0].tensors[operator.inputs[1]]
    values = contents.buffers[tensor.buffer].data.view(np.int8).astype(int)
    rounded = np.clip(step * np.round(values / step), -127, 127)
    contents.buffers[tensor.buffer].data = rounded.astype(np.int8).view(
        np.uint8
    )
    return model_file.write(contents)


def off_zero_point(model: bytes, layer: str, zero_point: int) -> bytes:
    """Gives what a convolution computes another zero point."""
    contents = model_file.read(model)
    operator = _operator(contents, layer, "CONV_2D")
    tensor = contents.subgraphs[0].tensors[operator.outputs[0]]
    tensor.quantization.zeroPoint = [zero_point]
    return model_file.write(contents)


def exchanged_classes(model: bytes, layer: str, a: int, b: int) -> bytes:
    """Exchanges two rows of a head's weights and bias."""
    contents = model_file.read(model)
    operator = _operator(contents, layer, "FULLY_CONNECTED")
    graph = contents.subgraphs[0]
    for index, dtype in zip(operator.inputs[1:], ("i1", "<i4"), strict=True):
        tensor = graph.tensors[index]
        values = contents.buffers[tensor.buffer].data.view(dtype)
        rows = values.reshape(10, -1).copy()
        rows[[a, b]] = rows[[b, a]]
        contents.buffers[tensor.buffer].data = rows.ravel().view(np.uint8)
        facts = tensor.quantization
        if len(facts.scale) == 10:
            facts.scale = np.array(facts.scale)
            facts.scale[[a, b]] = facts.scale[[b, a]]
    return model_file.write(contents)


def left_in_float(model: bytes, layer: str) -> bytes:
    """Puts a convolution in float between DEQUANTIZE and QUANTIZE."""
    contents = model_file.read(model)
    graph = contents.subgraphs[0]
    operator = _operator(contents, layer, "CONV_2D")
    place = next(
        i for i, each in enumerate(graph.operators) if each is operator
    )

    def as_float(index: int) -> int:
        tensor = copy.copy(graph.tensors[index])
        values = stored_numbers.constant(contents, tensor)
        tensor.name = tensor.name + b"_float"
        tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
        tensor.buffer = 0
        if values is not None:
            data = values.astype(np.float32).ravel().view(np.uint8)
            contents.buffers.append(schema.BufferT(data))
            tensor.buffer = len(contents.buffers) - 1
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def code(name: str) -> int:
        number = getattr(schema.BuiltinOperator, name)
        contents.operatorCodes.append(
            schema.OperatorCodeT(
                deprecatedBuiltinCode=number, builtinCode=number, version=1
            )
        )
        return len(contents.operatorCodes) - 1

    def converting(name: str, options, source: int, target: int):
        return schema.OperatorT(
            opcodeIndex=code(name),
            inputs=[source],
            outputs=[target],
            builtinOptionsType=getattr(schema.BuiltinOptions, f"{options}"),
            builtinOptions=getattr(schema, f"{options}T")(),
        )

    [before, *held], [after] = operator.inputs, operator.outputs
    entrance, result = as_float(before), as_float(after)
    operator.inputs = [entrance, *map(as_float, held)]
    operator.outputs = [result]
    graph.operators[place : place + 1] = [
        converting("DEQUANTIZE", "DequantizeOptions", before, entrance),
        operator,
        converting("QUANTIZE", "QuantizeOptions", result, after),
    ]
    return model_file.write(contents)
