"""Turns a network's scores into the coefficients that combine kernels."""

import math

import keras

from keras_dynamic.layers.ramp import Ramp

# The score of a basis that is left out.
_NEVER = -1e9


@keras.saving.register_keras_serializable(package="keras_dynamic")
class BasisCoefficients(keras.layers.Layer):
    """Turns a vector of scores into one or more vectors of coefficients.

    BasisNet, Zhang et al. 2021, arXiv 2105.03014, whose abstract is all that
    could be read. So these are choices: softmax or sigmoid with a temperature,
    as in dynamic convolutions (arXiv 1912.03458) and CondConv (arXiv
    1904.04971), and in training

    -   the blend with equal coefficients, eps / N + (1 - eps) * alpha, where
        eps goes from 1 to 0 in the first `blend_steps` steps, so that all
        bases learn before some are preferred;
    -   basis dropout, which leaves out whole bases: basis n in all vectors of
        an image at once. The others make up for it: the softmax goes over
        these alone, a sigmoid is multiplied by N over how many they are. An
        image that would lose all bases keeps them.

    Args:
        bases: How many coefficients a vector has, N.
        vectors: How many vectors there are.
        activation: "softmax" or "sigmoid".
        temperature: Number that the scores are divided by.
        blend_steps: Training steps until the coefficients are the network's.
        dropout: Probability of a basis to be left out in training.
        seed: Seed of the dropout.

    Input: scores [batch, vectors * bases].
    Output: a list of `vectors` tensors [batch, bases], in the layer's dtype.

    Raises:
        ValueError: If an argument is not as said.
    """

    def __init__(
        self,
        bases: int,
        vectors: int = 1,
        *,
        activation: str = "softmax",
        temperature: float = 1.0,
        blend_steps: int = 0,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in {"bases": bases, "vectors": vectors}.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{name}` must be a positive integer. "
                    f"Received: {name}={value!r}"
                )
        if activation not in ("softmax", "sigmoid"):
            raise ValueError(
                "`activation` must be one of ('softmax', 'sigmoid'). "
                f"Received: activation={activation!r}"
            )
        if not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(
                "`temperature` must be a finite positive number. "
                f"Received: temperature={temperature!r}"
            )
        if not isinstance(blend_steps, int) or blend_steps < 0:
            raise ValueError(
                "`blend_steps` must be an integer that is not negative. "
                f"Received: blend_steps={blend_steps!r}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(
                "`dropout` must be at least 0 and below 1. "
                f"Received: dropout={dropout!r}"
            )
        self.bases = bases
        self.vectors = vectors
        self.activation = activation
        self.temperature = temperature
        self.blend_steps = blend_steps
        self.dropout = dropout
        self.seed = seed
        self.ramp = Ramp(blend_steps, name="ramp")
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        """Makes the counter of the steps."""
        if input_shape[-1] != self.vectors * self.bases:
            raise ValueError(
                f"`inputs` must have {self.vectors * self.bases} scores, "
                f"{self.bases} for each of {self.vectors} vectors. "
                f"Received: scores of shape {tuple(input_shape)}"
            )
        self.ramp.build()

    def call(self, inputs, training=None):
        """Returns the coefficients of every vector."""
        activate = getattr(keras.ops, self.activation)
        scores = keras.ops.reshape(inputs, (-1, self.vectors, self.bases))
        scores = scores / self.temperature
        if not training:
            return keras.ops.unstack(activate(scores), axis=1)
        kept = self._kept(keras.ops.shape(scores)[0])
        share = kept / keras.ops.sum(kept, axis=-1, keepdims=True)
        alpha = activate(keras.ops.where(kept > 0, scores, _NEVER))
        if self.activation == "sigmoid":
            alpha = alpha * share * self.bases
        ours = keras.ops.cast(self.ramp(training=training), alpha.dtype)
        return keras.ops.unstack(ours * alpha + (1 - ours) * share, axis=1)

    def _kept(self, images):
        """Marks with 1 each basis that is kept, [images, 1, bases]."""
        shape = (images, 1, self.bases)
        if not self.dropout:
            return keras.ops.ones(shape, self.compute_dtype)
        drawn = keras.random.uniform(shape, seed=self.seed_generator)
        kept = drawn >= self.dropout
        kept = kept | ~keras.ops.any(kept, axis=-1, keepdims=True)
        return keras.ops.cast(kept, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Returns the shapes of the vectors."""
        return [(input_shape[0], self.bases)] * self.vectors

    def get_config(self):
        """Returns the layer's arguments."""
        return {
            **super().get_config(),
            "bases": self.bases,
            "vectors": self.vectors,
            "activation": self.activation,
            "temperature": self.temperature,
            "blend_steps": self.blend_steps,
            "dropout": self.dropout,
            "seed": self.seed,
        }
