"""A score that scales what it is multiplied with, or says to skip it."""

import keras


@keras.saving.register_keras_serializable(package="keras_dynamic")
class Gate(keras.layers.Layer):
    """Clamps a score to [0, 1]: at exactly 0 what it gates is not needed.

    The clamp of L-Net and C-Net (Xia et al., "Fully Dynamic Inference with Deep
    Neural Networks", IEEE TETC 2022, arXiv 2007.15151). `Multiply` with a
    branch of the network, gate second, makes a gated branch, by which
    `keras_dynamic.gating` knows it.

    A clamp passes no gradient outside of its range, so a gate that is 0 on
    every image would stay so. The paper is silent about that. Here a score
    outside of [0, 1] gets the gradients that move it back in, and no others.

    Args:
        inward_gradient: Whether it does; otherwise the gradient of a clamp.

    Input and output: any shape, in the layer's dtype.
    """

    def __init__(self, inward_gradient: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.inward_gradient = inward_gradient

    def call(self, inputs):
        """The clamped score."""
        if self.inward_gradient:
            return _clamp(inputs)
        return keras.ops.clip(inputs, 0.0, 1.0)

    def compute_output_shape(self, input_shape):
        """Shape of the input."""
        return input_shape

    def get_config(self):
        """The layer's argument."""
        return {
            **super().get_config(),
            "inward_gradient": self.inward_gradient,
        }


@keras.ops.custom_gradient
def _clamp(score):
    def gradient(*upstream):
        [given] = upstream
        # Descent adds what is negative here, and takes off what is positive.
        raising = keras.ops.minimum(given, 0)
        lowering = keras.ops.maximum(given, 0)
        inside = keras.ops.where(score > 1, lowering, given)
        return keras.ops.where(score < 0, raising, inside)

    return keras.ops.clip(score, 0.0, 1.0), gradient
