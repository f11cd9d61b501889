"""Resizes bilinearly, as a plain layer of a network."""

import keras


@keras.saving.register_keras_serializable(package="keras_dynamic")
class BilinearResize(keras.layers.Layer):
    """Resizes feature maps bilinearly, with half-pixel centres.

    `keras.layers.Resizing` is meant for preprocessing: its `training` argument
    is true by default, and in a model called without one it puts every layer
    after it into training mode (Keras 3.15).

    Args:
        height: Height of the output, in pixels.
        width: Width of the output, in pixels.

    Input shape: [batch, any height, any width, channels].
    Output shape: [batch, height, width, channels], in the input's dtype.

    Raises:
        ValueError: If a size is not a positive integer.
    """

    def __init__(self, height: int, width: int, **kwargs):
        super().__init__(**kwargs)
        for size in (height, width):
            if not isinstance(size, int) or size < 1:
                raise ValueError(
                    "`height` and `width` must be positive integers. "
                    f"Received: height={height!r}, width={width!r}"
                )
        self.height = height
        self.width = width

    def call(self, inputs):
        """Resizes a batch of feature maps."""
        return keras.ops.image.resize(
            inputs,
            (self.height, self.width),
            interpolation="bilinear",
            data_format="channels_last",
        )

    def compute_output_shape(self, input_shape):
        """Returns the shape of the resized batch."""
        return (input_shape[0], self.height, self.width, input_shape[-1])

    def get_config(self):
        """Returns the layer's arguments."""
        return {
            **super().get_config(),
            "height": self.height,
            "width": self.width,
        }
