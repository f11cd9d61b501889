"""Scores a gate by what is peculiar to an image."""

import keras


@keras.saving.register_keras_serializable(package="keras_dynamic")
class Score(keras.layers.Conv2D):
    """Standardizes channels over the images, then convolves them 1x1.

    Each channel has mean 0 and variance 1, in training over the batch, as in
    batch normalization, otherwise by moving averages. The means over a map,
    from which L-Net and C-Net tell images apart, differ little from image to
    image: without this a gate learns one score for all of them, long before it
    learns whose branch to skip. The papers' sketch has a plain dense layer.

    On a device it is a 1x1 convolution, whose kernel and bias hold all of it.

    Args:
        filters: How many scores there are.
        spread: Standard deviation of a score over the images at first, if the
            channels were independent.
        momentum: Momentum of the moving averages.
        epsilon: Number that is added to the variance.
        **kwargs: Further arguments of `keras.layers.Conv2D`.

    Input: [batch, height, width, channels].
    Output: [batch, height, width, filters].
    """

    def __init__(
        self,
        filters: int,
        spread: float = 0.5,
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        **kwargs,
    ):
        super().__init__(filters, **{"kernel_size": 1, **kwargs})
        self.spread = spread
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        """Makes the kernel, of numbers that give the spread, and the rest."""
        channels = input_shape[-1]
        self.kernel_initializer = keras.initializers.RandomNormal(
            stddev=self.spread / channels**0.5
        )
        super().build(input_shape)
        for name, initial in (("mean", "zeros"), ("variance", "ones")):
            weight = self.add_weight(
                name=f"moving_{name}",
                shape=(channels,),
                initializer=initial,
                trainable=False,
                autocast=False,
            )
            setattr(self, f"moving_{name}", weight)

    def call(self, inputs, training=None):
        """Returns the scores."""
        x = keras.ops.cast(inputs, "float32")
        mean, variance = self.moving_mean, self.moving_variance
        if training:
            now, spread = keras.ops.moments(x, axes=[0, 1, 2])
            for moving, value in ((mean, now), (variance, spread)):
                moving.assign(
                    self.momentum * moving + (1 - self.momentum) * value
                )
            mean, variance = now, spread
        x = (x - mean) / keras.ops.sqrt(variance + self.epsilon)
        return super().call(keras.ops.cast(x, self.compute_dtype))

    def plain(self):
        """Returns kernel and bias of a plain convolution with equal outputs.

        Returns:
            Tensors [1, 1, channels, filters] and [filters], by the moving
            averages.
        """
        deviation = keras.ops.sqrt(self.moving_variance + self.epsilon)
        kernel = self.kernel / deviation[:, None]
        shift = keras.ops.sum(self.moving_mean[:, None] * kernel, (0, 1, 2))
        return kernel, self.bias - shift

    # A convolution's own would leave out what it does not know.
    save_own_variables = keras.layers.Layer.save_own_variables
    load_own_variables = keras.layers.Layer.load_own_variables

    def get_config(self):
        """Returns the layer's arguments."""
        return {
            **super().get_config(),
            "spread": self.spread,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
