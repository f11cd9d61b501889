"""Holds what the convolutions with combined kernels have in common."""

from collections.abc import Sequence

import keras


class BasisKernels(keras.layers.Layer):
    """Holds several kernels, and combines them into one for each image.

    BasisNet, Zhang et al. 2021, arXiv 2105.03014: the kernel for image b is
    sum_n coefficients[b, n] * kernel[n]. A bias, if there is one, is the same
    for all images, which is our choice.

    Each basis is drawn by itself, so `kernel_initializer` must not have a seed.

    Args:
        kernel_size: Height and width of the kernels, or one number for both.
        bases: How many kernels there are.
        strides: One number, or twice the same.
        padding: "same" or "valid", as in Keras.
        use_bias: Whether there is a bias.
        kernel_initializer: Initializer of each basis.
        bias_initializer: Initializer of the bias.

    Raises:
        ValueError: If an argument is not as said.
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        *,
        bases: int,
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(bases, int) or bases < 1:
            raise ValueError(
                f"`bases` must be a positive integer. Received: bases={bases!r}"
            )
        if padding not in ("same", "valid"):
            raise ValueError(
                "`padding` must be one of ('same', 'valid'). "
                f"Received: padding={padding!r}"
            )
        self.kernel_size = _pair("kernel_size", kernel_size)
        self.strides = _pair("strides", strides)
        if len(set(self.strides)) > 1:
            raise ValueError(
                "`strides` must be the same in both directions. "
                f"Received: strides={strides!r}"
            )
        self.bases = bases
        self.padding = padding
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def add_bases(self, input_shape, channels: int, outputs: int) -> None:
        """Makes the weights.

        Args:
            input_shape: Shapes of the feature map and of the coefficients.
            channels: How many channels each output depends on.
            outputs: How many numbers a kernel has per place and channel.

        Raises:
            ValueError: If there is not one coefficient for each basis.
        """
        _, coefficients = input_shape
        if coefficients[-1] != self.bases:
            raise ValueError(
                f"`inputs` must have {self.bases} coefficients, one for each "
                f"basis. Received: coefficients of shape {tuple(coefficients)}"
            )
        shape = (*self.kernel_size, channels, outputs)

        def draw(_, dtype=None):
            # A clone, since an initializer draws the same again and again.
            return keras.ops.stack(
                [
                    self.kernel_initializer.clone()(shape, dtype)
                    for _ in range(self.bases)
                ]
            )

        self.kernel = self.add_weight(
            name="kernel", shape=(self.bases, *shape), initializer=draw
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.compute_output_shape(input_shape)[-1],),
                initializer=self.bias_initializer,
            )

    def compute_output_shape(self, input_shape):
        """Returns the shape of the convolved feature map."""
        features, _ = input_shape
        lost = [0, 0]
        if self.padding == "valid":
            lost = [kernel - 1 for kernel in self.kernel_size]
        sides = [
            -(-(side - less) // stride)
            for side, less, stride in zip(
                features[1:3], lost, self.strides, strict=True
            )
        ]
        return (features[0], *sides, self.outputs(features))

    def get_config(self):
        """Returns the layer's arguments."""
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "bases": self.bases,
            "strides": self.strides,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "bias_initializer": keras.initializers.serialize(
                self.bias_initializer
            ),
        }


def _pair(name, value):
    """Returns two positive integers, given as such or as one."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(v, int) and v > 0 for v in pair):
        raise ValueError(
            f"`{name}` must be one or two positive integers. "
            f"Received: {name}={value!r}"
        )
    return pair
