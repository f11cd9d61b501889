"""Clamps a score that scales a branch of a network, or says to skip it."""

import math
from collections.abc import Sequence

import keras

from keras_dynamic.layers.ramp import Ramp


@keras.saving.register_keras_serializable(package="keras_dynamic")
class Gate(keras.layers.Layer):
    """Clamps a score to [0, 1]: at exactly 0 the gated branch is not needed.

    It is the clamp of L-Net and C-Net (Xia et al., "Fully Dynamic Inference
    with Deep Neural Networks", IEEE TETC 2022, arXiv 2007.15151). `Multiply`
    with a branch of the network, gate second, makes a gated branch, by which
    `keras_dynamic.graph.gating` knows it.

    A clamp passes no gradient outside of its range, so a gate that is 0 on
    every image would stay so. The paper is silent about that. Here a score
    outside of [0, 1] gets the gradients that move it back in, and no others.

    The paper is silent about how gates come to be 0, too. What follows a branch
    makes up for a small score, so scores may shrink at will and yet stay above
    0. In training they may therefore have noise, as the stochastic gates of
    Yamada et al. ("Feature Selection using Stochastic Gates", ICML 2020, arXiv
    1810.04247): near 0 a gate is closed for every other image, which a branch
    that is of use must get away from. The probability that a gate is open has
    a gradient, `open_probability`. Unlike theirs the noise falls.

    Args:
        inward_gradient: Whether a score outside of [0, 1] gets the gradients
            that move it back in; otherwise it gets the gradient of a clamp.
        noise: Standard deviation of the noise in training, at first and at
            last; None for no noise.
        annealing_steps: Steps of training in which the deviation falls,
            linearly; with 0 it is the last one from the start.
        seed: Seed of the noise.

    Input and output: any shape, in the layer's dtype.

    Raises:
        ValueError: If an argument is not as said.
    """

    def __init__(
        self,
        inward_gradient: bool = True,
        noise: Sequence[float] | None = None,
        annealing_steps: int = 0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if noise is not None and not (
            len(noise) == 2 and math.inf > noise[0] >= noise[1] > 0
        ):
            raise ValueError(
                "`noise` must be two finite positive numbers, the second not "
                f"above the first, or None. Received: noise={noise!r}"
            )
        self.inward_gradient = inward_gradient
        self.noise = None if noise is None else tuple(noise)
        self.annealing_steps = annealing_steps
        self.seed = seed
        self.ramp = Ramp(annealing_steps, name="ramp")
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        """Makes the counter of the steps, if there is noise."""
        if self.noise:
            self.ramp.build()

    def open_probability(self, scores):
        """Returns how probably a score with noise is above 0, in float32.

        Args:
            scores: Scores before the clamp and without noise, any shape.
        """
        scores = keras.ops.cast(scores, "float32")
        deviation = self._deviation(self.ramp.reached())
        return (1 + keras.ops.erf(scores / (deviation * math.sqrt(2)))) / 2

    def call(self, inputs, training=None):
        """Returns the clamped score."""
        if training and self.noise:
            deviation = self._deviation(self.ramp(training=True))
            drawn = keras.random.normal(
                keras.ops.shape(inputs), seed=self.seed_generator
            )
            noise = keras.ops.cast(deviation * drawn, self.compute_dtype)
            inputs = inputs + noise
        if self.inward_gradient:
            return _clamp(inputs)
        return keras.ops.clip(inputs, 0.0, 1.0)

    def _deviation(self, progress):
        first, last = self.noise
        return first + (last - first) * progress

    def compute_output_shape(self, input_shape):
        """Returns the shape of the input."""
        return input_shape

    def get_config(self):
        """Returns the layer's arguments."""
        return {
            **super().get_config(),
            "inward_gradient": self.inward_gradient,
            "noise": self.noise,
            "annealing_steps": self.annealing_steps,
            "seed": self.seed,
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
