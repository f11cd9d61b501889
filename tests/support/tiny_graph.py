"""Builds small .tflite files by hand, for what a converter would not write."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite.format import model_file

TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int8): schema.TensorType.INT8,
}
OPTIONS = {
    "ADD": schema.AddOptionsT,
    "MUL": schema.MulOptionsT,
    "FULLY_CONNECTED": schema.FullyConnectedOptionsT,
    "BATCH_MATMUL": schema.BatchMatMulOptionsT,
    "TRANSPOSE_CONV": schema.TransposeConvOptionsT,
    "RESHAPE": schema.ReshapeOptionsT,
    "MEAN": schema.ReducerOptionsT,
    "MINIMUM": schema.MaximumMinimumOptionsT,
    "MAXIMUM": schema.MaximumMinimumOptionsT,
    "SOFTMAX": schema.SoftmaxOptionsT,
    "RELU": None,
    "AVERAGE_POOL_2D": schema.Pool2DOptionsT,
    "SPLIT": schema.SplitOptionsT,
    "TANH": None,
    "LOGISTIC": None,
    "LOG_SOFTMAX": schema.LogSoftmaxOptionsT,
    "DEQUANTIZE": schema.DequantizeOptionsT,
    "QUANTIZE": schema.QuantizeOptionsT,
    "CAST": schema.CastOptionsT,
    "CONV_2D": schema.Conv2DOptionsT,
    "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT,
    "MAX_POOL_2D": schema.Pool2DOptionsT,
    "RESIZE_BILINEAR": schema.ResizeBilinearOptionsT,
    "RESIZE_NEAREST_NEIGHBOR": schema.ResizeNearestNeighborOptionsT,
    "CONCATENATION": schema.ConcatenationOptionsT,
    "PACK": schema.PackOptionsT,
    "UNPACK": schema.UnpackOptionsT,
    "SLICE": schema.SliceOptionsT,
    "STRIDED_SLICE": schema.StridedSliceOptionsT,
    "SQUEEZE": schema.SqueezeOptionsT,
    "EXPAND_DIMS": schema.ExpandDimsOptionsT,
    "TRANSPOSE": schema.TransposeOptionsT,
    "PAD": schema.PadOptionsT,
    "PADV2": schema.PadV2OptionsT,
    "MIRROR_PAD": schema.MirrorPadOptionsT,
    "SUB": schema.SubOptionsT,
    "DIV": schema.DivOptionsT,
    "LEAKY_RELU": schema.LeakyReluOptionsT,
    "GELU": schema.GeluOptionsT,
    "SUM": schema.ReducerOptionsT,
    "HARD_SWISH": schema.HardSwishOptionsT,
    "EXP": schema.ExpOptionsT,
    "PRELU": None,
    "SQRT": None,
    "RELU6": None,
}


class TinyGraph:
    """Builds a model of one subgraph, tensor by tensor."""

    def __init__(self):
        self.codes: list[str] = []
        self.buffers = [schema.BufferT()]
        self.tensors = []
        self.operators = []

    def tensor(
        self,
        shape,
        dtype=np.float32,
        *,
        name=None,
        scale=None,
        zero_point=0,
    ) -> int:
        self.tensors.append(
            schema.TensorT(
                shape=list(shape),
                type=TYPES[np.dtype(dtype)],
                buffer=0,
                name=f"t{len(self.tensors)}" if name is None else name,
                hasRank=True,
            )
        )
        if scale is not None:
            self.tensors[-1].quantization = schema.QuantizationParametersT(
                scale=[scale], zeroPoint=[zero_point]
            )
        return len(self.tensors) - 1

    def constant(self, value: np.ndarray, buffer: int | None = None) -> int:
        """Adds a constant, in the buffer of an earlier one if given."""
        index = self.tensor(value.shape, value.dtype)
        if buffer is None:
            data = np.frombuffer(value.tobytes(), np.uint8)
            self.buffers.append(schema.BufferT(data))
            buffer = len(self.buffers) - 1
        self.tensors[index].buffer = buffer
        return index

    def run(self, code: str, inputs, *, like=None, name=None, **options) -> int:
        """Adds an operator; its result is like the tensor `like`."""
        origin = self.tensors[inputs[0] if like is None else like]
        index = self.tensor(origin.shape, name=name)
        self.tensors[index].type = origin.type
        self.tensors[index].quantization = origin.quantization
        self.operator(code, inputs, [index], **options)
        return index

    def operator(self, code: str, inputs, outputs, **options) -> None:
        if code not in self.codes:
            self.codes.append(code)
        kind = OPTIONS[code]
        self.operators.append(
            schema.OperatorT(
                opcodeIndex=self.codes.index(code),
                inputs=list(inputs),
                outputs=list(outputs),
                builtinOptionsType=getattr(
                    schema.BuiltinOptions,
                    kind.__name__[:-1] if kind else "NONE",
                ),
                builtinOptions=kind(**options) if kind else None,
            )
        )

    def model(self, inputs, outputs, signature: dict | None = None):
        """Returns the `ModelT`; `signature` names tensors, if there is one."""
        numbers = [getattr(schema.BuiltinOperator, each) for each in self.codes]

        def named(indices):
            return [
                schema.TensorMapT(name, index)
                for name, index in (signature or {}).items()
                if index in indices
            ]

        return schema.ModelT(
            version=3,
            operatorCodes=[
                schema.OperatorCodeT(
                    deprecatedBuiltinCode=min(number, 127),
                    builtinCode=number,
                )
                for number in numbers
            ],
            subgraphs=[
                schema.SubGraphT(
                    tensors=self.tensors,
                    inputs=list(inputs),
                    outputs=list(outputs),
                    operators=self.operators,
                )
            ],
            buffers=self.buffers,
            signatureDefs=[
                schema.SignatureDefT(
                    named(inputs), named(outputs), "serving_default", 0
                )
            ]
            if signature
            else None,
        )

    def write(self, inputs, outputs, signature: dict | None = None) -> bytes:
        return model_file.write(self.model(inputs, outputs, signature))
