import keras
import numpy as np
import tensorflow as tf

from tflite.quantization.layers import activation

VALUES = np.linspace(-8, 8, 321, dtype=np.float32)


def test_it_is_the_one_of_keras_3():
    np.testing.assert_allclose(
        activation.HardSigmoid()(VALUES),
        keras.activations.hard_sigmoid(VALUES),
        atol=1e-6,
    )


def test_its_gradient_survives_quantization():
    layer = activation.HardSigmoid()
    config = activation.HardSigmoidQuantizeConfig()
    [(clip, quantizer)] = config.get_activations_and_quantizers(layer)
    config.set_quantize_activations(
        layer,
        [lambda x, **named: quantizer(clip(x, **named), True, {})],
    )
    [output] = config.get_output_quantizers(layer)
    x = tf.constant([-4.0, -1.0, 2.0, 4.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = output(layer(x), True, {})
    np.testing.assert_allclose(y, [0, 1 / 3, 5 / 6, 1], atol=0.5 / 255 + 1e-3)
    np.testing.assert_allclose(tape.gradient(y, x), [0, 1 / 6, 1 / 6, 0])
