"""The model families, by name.

A builder takes keyword arguments only, `input_shape` and `classes` among them,
and returns a functional `keras.Model` with one output of logits per exit,
shallow to deep; all but these two have defaults. The layers of exit k's
classifier have names that start with `exit_k`; the layer that gives its logits
is named `exit_k`. Names that start with `block{k}_` tell
`keras_dynamic.graph.cost` what the papers count up to exit k.
"""

from collections.abc import Callable, Mapping

import keras

from keras_dynamic.models.basisnet import basisnet
from keras_dynamic.models.lcnet import lcnet
from keras_dynamic.models.mobilenet_v2 import mobilenet_v2
from keras_dynamic.models.mobilenet_v3 import mobilenet_v3
from keras_dynamic.models.msdnet import msdnet
from keras_dynamic.models.ranet import ranet
from keras_dynamic.models.resnet import resnet
from keras_dynamic.models.vgg import vgg

BUILDERS: Mapping[str, Callable[..., keras.Model]] = {
    "basisnet": basisnet,
    "lcnet": lcnet,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "msdnet": msdnet,
    "ranet": ranet,
    "resnet": resnet,
    "vgg": vgg,
}


def build(name: str, **arguments) -> keras.Model:
    """Builds the model family `name` with its keyword arguments.

    Raises:
        ValueError: If no family has that name.
    """
    if name not in BUILDERS:
        raise ValueError(
            f"`name` must be one of {sorted(BUILDERS)}. Received: name={name!r}"
        )
    return BUILDERS[name](**arguments)
