"""Layers of keras_dynamic that the legacy Keras lacks, made for it again.

Same arguments and weights; `tflite.quantization.fake_quantization` quantizes
their outputs.
"""

import tensorflow as tf
import tf_keras


class Multiple(tf_keras.layers.Layer):
    """`keras_dynamic.layers.Multiple`."""

    def __init__(self, factor: float, learned: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.learned = learned

    def build(self, input_shape):
        """Makes the learned scalar, if there is one."""
        if self.learned:
            self.log_ratio = self.add_weight(name="log_ratio", shape=())
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The multiple of `inputs`."""
        if not self.learned:
            return inputs * self.factor
        return inputs * (self.factor * tf.exp(self.log_ratio))

    def get_config(self) -> dict:
        """The layer's arguments."""
        return {
            **super().get_config(),
            "factor": self.factor,
            "learned": self.learned,
        }


class Bias(tf_keras.layers.Layer):
    """`keras_dynamic.layers.Bias`."""

    def build(self, input_shape):
        """Makes the numbers."""
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """`inputs` with the numbers added."""
        return inputs + self.bias


class Coefficients(tf_keras.layers.Layer):
    """`keras_dynamic.layers.BasisCoefficients`, but for the temperature.

    Outside of training, where no basis is left out; all vectors in one tensor.

    Args:
        vectors: How many there are.
        activation: "softmax" or "sigmoid".
    """

    def __init__(self, vectors: int, activation: str, **kwargs):
        super().__init__(**kwargs)
        self.vectors = vectors
        self.activation = activation

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Numbers in [0, 1], of the shape of the scores."""
        if self.activation == "sigmoid":
            return tf.sigmoid(inputs)
        bases = inputs.shape[-1] // self.vectors
        scores = tf.reshape(inputs, (-1, self.vectors, bases))
        return tf.reshape(tf.nn.softmax(scores), (-1, inputs.shape[-1]))

    def get_config(self) -> dict:
        """The layer's arguments."""
        return {
            **super().get_config(),
            "vectors": self.vectors,
            "activation": self.activation,
        }


class Slice(tf_keras.layers.Layer):
    """The numbers from `start` to before `stop` of each image's."""

    def __init__(self, start: int, stop: int, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.stop = stop

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[batch, stop - start]."""
        # Not tf.slice, whose size of -1 XNNPACK does not take.
        return inputs[:, self.start : self.stop]

    def get_config(self) -> dict:
        """The layer's arguments."""
        return {
            **super().get_config(),
            "start": self.start,
            "stop": self.stop,
        }


class Taps(tf_keras.layers.Layer):
    """What a kernel sees at each place of a map, without padding.

    Args:
        height: Of the kernel.
        width: Of the kernel.
    """

    def __init__(self, height: int, width: int, **kwargs):
        super().__init__(**kwargs)
        self.height = height
        self.width = width

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[batch, rows, columns, height * width * channels]."""
        rows = inputs.shape[1] - self.height + 1
        columns = inputs.shape[2] - self.width + 1

        def row(i):
            return tf.concat(
                [
                    inputs[:, i : i + rows, j : j + columns, :]
                    for j in range(self.width)
                ],
                axis=-1,
            )

        # Row by row: XNNPACK joins five tensors at most.
        return tf.concat([row(i) for i in range(self.height)], axis=-1)

    def get_config(self) -> dict:
        """The layer's arguments."""
        return {
            **super().get_config(),
            "height": self.height,
            "width": self.width,
        }


class CombinedKernel(tf_keras.layers.Layer):
    """A matrix for each image: its coefficients times the bases.

    Args:
        rows: Of the matrix.
        columns: Of the matrix.
    """

    def __init__(self, rows: int, columns: int, **kwargs):
        super().__init__(**kwargs)
        self.rows = rows
        self.columns = columns

    def build(self, input_shape):
        """Makes the bases, `kernel` [bases, rows * columns]."""
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[-1], self.rows * self.columns)
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[batch, rows, columns], of coefficients [batch, bases]."""
        flat = tf.matmul(inputs, self.kernel)
        return tf.reshape(flat, (-1, self.rows, self.columns))

    def get_config(self) -> dict:
        """The layer's arguments."""
        return {
            **super().get_config(),
            "rows": self.rows,
            "columns": self.columns,
        }


class Product(tf_keras.layers.Layer):
    """Each place of each image's map times the matrix of that image."""

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """[batch, height, width, columns]."""
        maps, matrices = inputs
        _, height, width, channels = maps.shape
        flat = tf.reshape(maps, (-1, height * width, channels))
        return tf.reshape(
            tf.matmul(flat, matrices), (-1, height, width, matrices.shape[-1])
        )


class Gate(tf_keras.layers.Layer):
    """`keras_dynamic.layers.Gate`.

    Quantized it gives its input. The int8 numbers of the range [0, 1] hold
    nothing else, so that all that runs is the layer before it.
    """

    def __init__(self, quantized: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.quantized = quantized

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The clamped score."""
        return inputs if self.quantized else tf.clip_by_value(inputs, 0.0, 1.0)

    def get_config(self) -> dict:
        """The layer's argument."""
        return {**super().get_config(), "quantized": self.quantized}
