"""Builds a small network with two exits."""


def network(keras):
    """A model of either Keras with two exits."""
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.BatchNormalization()(x)
    shallow = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    deep = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    return keras.Model(inputs, [shallow, deep])
