"""Builds the networks of keras.applications with two exits.

They have no pretrained weights, which no test can fetch, but statistics of
normalization that fit their inputs, and are not those that layers start with.
"""

import dataclasses

import keras
import numpy as np

from tests.support import normal_forms

CLASSES = 10


@dataclasses.dataclass(frozen=True)
class Network:
    """Describes a network of keras.applications.

    Attributes:
        name: Its name there.
        size: Height and width of its input here, in pixels.
        stands_in: The smaller network of its kind that is built in its place,
            where it would take minutes; empty if it is built itself.
    """

    name: str
    size: int = 96
    stands_in: str = ""

    @property
    def built(self):
        return self.stands_in or self.name


NETWORKS = (
    Network("MobileNet"),
    Network("MobileNetV2"),
    Network("MobileNetV3Small"),
    Network("MobileNetV3Large"),
    Network("VGG16"),
    Network("VGG19"),
    Network("ResNet50"),
    Network("ResNet101"),
    Network("ResNet152", stands_in="ResNet101"),
    Network("ResNet50V2"),
    Network("ResNet101V2"),
    Network("ResNet152V2", stands_in="ResNet101V2"),
    Network("DenseNet121"),
    Network("DenseNet169"),
    Network("DenseNet201"),
    Network("InceptionV3"),
    Network("InceptionResNetV2"),
    Network("Xception"),
    Network("NASNetMobile"),
    Network("NASNetLarge", stands_in="NASNetMobile"),
    Network("EfficientNetB0"),
    Network("EfficientNetB1"),
    Network("EfficientNetB2"),
    Network("EfficientNetB3"),
    Network("EfficientNetB4", stands_in="EfficientNetB3"),
    Network("EfficientNetB5", stands_in="EfficientNetB3"),
    Network("EfficientNetB6", stands_in="EfficientNetB3"),
    Network("EfficientNetB7", stands_in="EfficientNetB3"),
    Network("EfficientNetV2B0"),
    Network("EfficientNetV2B1"),
    Network("EfficientNetV2B2"),
    Network("EfficientNetV2B3"),
    Network("EfficientNetV2S"),
    Network("EfficientNetV2M", stands_in="EfficientNetV2S"),
    Network("EfficientNetV2L", stands_in="EfficientNetV2S"),
    Network("ConvNeXtTiny"),
    Network("ConvNeXtSmall"),
    Network("ConvNeXtBase", stands_in="ConvNeXtSmall"),
    Network("ConvNeXtLarge", stands_in="ConvNeXtSmall"),
    Network("ConvNeXtXLarge", stands_in="ConvNeXtSmall"),
)
BUILT = tuple(each for each in NETWORKS if not each.stands_in)


def images(network, model, count=4, seed=0):
    """Draws coarse patterns in the model's range; networks tell them apart."""
    rng = np.random.default_rng(seed)
    cells = network.size // 8
    drawn = rng.random((count, cells, cells, 3), np.float32)
    drawn = np.repeat(np.repeat(drawn, 8, axis=1), 8, axis=2)
    as_bytes = any(
        isinstance(layer, keras.layers.Rescaling) for layer in model.layers
    )
    return drawn * (255 if as_bytes else 1)


def build(network):
    """Builds a network with an exit before its last map and one behind it."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    backbone = getattr(keras.applications, network.built)(
        input_shape=(network.size, network.size, 3),
        include_top=False,
        weights=None,
    )
    end = backbone.output
    larger = [
        layer.output
        for layer in backbone.layers
        if len(layer.output.shape) == 4 and layer.output.shape[1] > end.shape[1]
    ]
    logits = []
    for exit, x in enumerate([larger[-1], end]):
        x = keras.layers.GlobalAveragePooling2D(name=f"exit_{exit}_pool")(x)
        logits.append(keras.layers.Dense(CLASSES, name=f"exit_{exit}")(x))
    model = keras.Model(backbone.input, logits)
    _settle(model, images(network, model, 8, seed=1))
    return model


def _settle(model, given):
    """Sets statistics to those of some images, off by up to a tenth."""
    normal_forms.randomized(model)
    for layer in model.layers:
        if type(layer).__name__ == "LayerScale":  # At first it says nothing.
            layer.gamma.assign(np.full(layer.gamma.shape, 0.5))
        # Biases must not outweigh what the images say.
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            kernel, *bias = layer.get_weights()
            small = [each * 0.1 for each in bias]
            layer.set_weights([kernel * 2**0.5, *small])
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(given, training=True)
    rng = np.random.default_rng(2)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
        variance = np.asarray(layer.moving_variance)
        layer.moving_variance.assign(
            variance * rng.uniform(0.9, 1.1, variance.shape)
        )
    # Logits of at most about 1, so that errors can be compared.
    for exit, logits in enumerate(model(given, training=False)):
        layer = model.get_layer(f"exit_{exit}")
        size = float(np.abs(np.asarray(logits)).max())
        layer.set_weights([each / size for each in layer.get_weights()])
