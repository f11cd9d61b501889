"""Splits a model behind all that its training leaves as it is."""

import dataclasses

import keras

from keras_dynamic.graph import functional


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Holds the two parts of a model. They share the model's weights.

    Attributes:
        prefix: Model from the images to the features: the tensors that the
            rest reads, and the outputs that it has no part in.
        rest: Model from the list of the features to the model's outputs.
    """

    prefix: keras.Model
    rest: keras.Model

    def __call__(self, images, training=None):
        """Runs both parts, the first one as in inference."""
        return self.rest(self.features(images), training=training)

    def features(self, images) -> list:
        """Runs the first part alone, as in inference."""
        found = self.prefix(images, training=False)
        return list(found) if isinstance(found, list | tuple) else [found]


def split(model: keras.Model) -> Split | None:
    """Splits a functional model behind its frozen beginning.

    To that belongs every layer all of whose inputs come from there and that is
    frozen or has no variables, so also what pools behind frozen layers; but not
    a dropout that is not frozen, which has the state of its generator.

    Returns:
        The parts; None if nothing but the images is before the rest.
    """
    inert: dict[int, keras.KerasTensor] = {}
    cut: dict[int, keras.KerasTensor] = {}
    for tensor in model.inputs:
        inert[id(tensor)] = tensor
    for node in functional.calls_in_order(model):
        reads = node.input_tensors
        if _is_inert(node.operation) and all(id(x) in inert for x in reads):
            inert |= {id(x): x for x in node.outputs}
        else:
            cut |= {id(x): x for x in reads if id(x) in inert}
    cut |= {id(x): x for x in model.outputs if id(x) in inert}
    features = list(cut.values())
    if {id(tensor) for tensor in model.inputs}.issuperset(cut):
        return None
    # Of one input the tensor itself, as the prefix is called with.
    images = model.inputs if len(model.inputs) > 1 else model.inputs[0]
    return Split(keras.Model(images, features), _rest(model, features))


def _rest(model, features):
    """Builds the model from the features to the outputs."""
    places = {id(tensor): k for k, tensor in enumerate(features)}
    computed = [x for x in model.outputs if id(x) not in places]
    inner = keras.Model(features, computed)
    made = iter(inner.outputs)
    outputs = [
        # Keras takes no input for an output.
        keras.layers.Identity(dtype=x.dtype)(inner.inputs[places[id(x)]])
        if id(x) in places
        else next(made)
        for x in model.outputs
    ]
    return keras.Model(inner.inputs, outputs)


def _is_inert(operation) -> bool:
    trained = getattr(operation, "trainable", False)
    return not trained or not getattr(operation, "variables", ())
