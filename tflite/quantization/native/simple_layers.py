"""Defines the layers that composed ones are made of before quantization.

Each is one operator of TFLite, so that one range behind it says all.
"""

import keras


class Shift(keras.layers.Layer):
    """Adds one fixed number.

    Args:
        number: The number.

    Input and output: any shape, float32.
    """

    def __init__(self, number: float, **kwargs):
        super().__init__(**kwargs)
        self.number = number

    def call(self, inputs):
        """Returns the sum."""
        return inputs + self.number


class ChannelFactor(keras.layers.Layer):
    """Multiplies each channel of the last axis by a learned number.

    Input and output: [..., channels], float32.
    """

    def build(self, input_shape):
        """Makes the numbers, at first 1."""
        self.factor = self.add_weight(
            name="factor", shape=(input_shape[-1],), initializer="ones"
        )

    def call(self, inputs):
        """Returns the product."""
        return inputs * self.factor

    def compute_output_shape(self, input_shape):
        """Returns the shape of the input."""
        return input_shape


class ChannelMean(keras.layers.Layer):
    """Averages over the last axis, which stays with one number.

    Input: [..., channels]. Output: [..., 1].
    """

    def call(self, inputs):
        """Returns the mean."""
        return keras.ops.mean(inputs, axis=-1, keepdims=True)


class InverseRoot(keras.layers.Layer):
    """Takes one over the square root of what is positive.

    Input and output: any shape, float32.
    """

    def call(self, inputs):
        """Returns the roots."""
        return keras.ops.rsqrt(inputs)


class NearestResize(keras.layers.Layer):
    """Repeats rows and columns, as the operator that resizes does.

    `keras.layers.UpSampling2D` gives the same by operators that XNNPACK and
    the checks of .tflite files do not know.

    Args:
        size: How often each row and each column is there.

    Input: [batch, height, width, channels], of known height and width.
    """

    def __init__(self, size: tuple[int, int], **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs):
        """Returns the larger map."""
        height, width = (
            side * times
            for side, times in zip(inputs.shape[1:3], self.size, strict=True)
        )
        return keras.ops.image.resize(
            inputs,
            (height, width),
            interpolation="nearest",
            data_format="channels_last",
        )
