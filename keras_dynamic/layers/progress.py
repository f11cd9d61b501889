"""How far a ramp has got, as a tensor that a loss can look at."""

import keras

from keras_dynamic.layers.ramp import Ramp


@keras.saving.register_keras_serializable(package="keras_dynamic")
class Progress(keras.layers.Layer):
    """Passes its input on unchanged, and beside it the value of a `Ramp`.

    So its counter is on the way to the exits, and is kept with the model.
    Conversion leaves it out.

    Args:
        steps: Steps of training until the ramp is at 1.

    Input: any shape and dtype.
    Output: the input, and a float32 scalar, which is 1 outside of training.
    """

    def __init__(self, steps: int, **kwargs):
        # Whatever the precision of training: the input keeps its own.
        super().__init__(autocast=False, **kwargs)
        self.ramp = Ramp(steps, name="ramp")

    def build(self, input_shape):
        """Makes the counter."""
        if not self.ramp.built:
            self.ramp.build()

    def call(self, inputs, training=None):
        """Both; in training, one step more is counted."""
        return inputs, self.ramp(training=training)

    def compute_output_spec(self, inputs, training=None):
        """The input's, and a scalar."""
        same = keras.KerasTensor(inputs.shape, inputs.dtype)
        return same, keras.KerasTensor((), "float32")

    def get_config(self):
        """The layer's argument."""
        return {**super().get_config(), "steps": self.ramp.steps}
