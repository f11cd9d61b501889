"""Convolves each image with a kernel of its own."""

import math
from collections.abc import Sequence

import keras

from keras_dynamic.layers.basis_kernels import BasisKernels


@keras.saving.register_keras_serializable(package="keras_dynamic")
class BasisConv2D(BasisKernels):
    """Convolves like `keras.layers.Conv2D`, with a kernel combined per image.

    It takes a feature map [batch, height, width, channels] of fixed size and
    coefficients [batch, bases], and gives [batch, height, width, filters].

    The numbers that the kernel sees at each place, times the image's kernel,
    are one product of matrices per image. For a 1x1 convolution these numbers
    are the map itself; otherwise a depthwise convolution with ones and zeros
    collects them. On a CPU with TensorFlow, forward and backward, that took 1.2
    to 1.8 times as long as one kernel for all where the kernel is 1x1 (four
    bases), 2.5 to 2.7 times where it is 3x3 (eight bases). Summing the outputs
    of all bases took 2 to 12 times as long as this for 1x1 and 2 to 4 times for
    3x3, and slices instead of the depthwise convolution 1.5 to 2 times. Grouped
    convolutions have no gradient there.

    Args:
        filters: Channels of the output.
        kernel_size: Height and width of the kernels, or one number for both.
        **kwargs: Further arguments of `BasisKernels`.

    Raises:
        ValueError: If an argument is not as said.
    """

    def __init__(
        self, filters: int, kernel_size: int | Sequence[int], **kwargs
    ):
        super().__init__(kernel_size, **kwargs)
        if not isinstance(filters, int) or filters < 1:
            raise ValueError(
                "`filters` must be a positive integer. "
                f"Received: filters={filters!r}"
            )
        self.filters = filters

    def build(self, input_shape):
        """Makes the weights, `kernel` [bases, height, width, in, out]."""
        self.add_bases(input_shape, input_shape[0][-1], self.filters)

    def call(self, inputs):
        """Convolves each image with its own kernel."""
        x, coefficients = inputs
        _, height, width, _ = self.compute_output_shape(
            [x.shape, coefficients.shape]
        )
        seen = keras.ops.reshape(
            self._seen(x), (-1, height * width, self._numbers)
        )
        # Numbers of a kernel by channel and then place, as they are seen.
        bases = keras.ops.transpose(self.kernel, (0, 3, 1, 2, 4))
        kernels = keras.ops.matmul(
            coefficients, keras.ops.reshape(bases, (self.bases, -1))
        )
        y = keras.ops.matmul(
            seen,
            keras.ops.reshape(kernels, (-1, self._numbers, self.filters)),
        )
        y = keras.ops.reshape(y, (-1, height, width, self.filters))
        return y + self.bias if self.use_bias else y

    @property
    def _numbers(self):
        """Counts the numbers that go into an output."""
        return math.prod(self.kernel.shape[1:4])

    def _seen(self, x):
        """Gathers what the kernel sees in the last axis, by channel, place."""
        if self.kernel_size == self.strides == (1, 1):
            return x
        places = math.prod(self.kernel_size)
        each = keras.ops.reshape(
            keras.ops.eye(places, dtype=x.dtype), (*self.kernel_size, 1, places)
        )
        return keras.ops.depthwise_conv(
            x,
            keras.ops.tile(each, (1, 1, x.shape[-1], 1)),
            strides=self.strides,
            padding=self.padding,
        )

    def outputs(self, features):
        """Returns the output's channels, given the shape of the feature map."""
        return self.filters

    def get_config(self):
        """Returns the layer's arguments."""
        return {**super().get_config(), "filters": self.filters}
