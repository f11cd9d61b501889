import keras
import pytest

from keras_dynamic.graph import functional

L = keras.layers


def _named(graph):
    return [(call.within, call.operation.name) for call in graph.calls]


def test_models_that_are_called_are_put_in_their_place():
    image = keras.Input((4, 4, 2))
    inner = keras.Model(image, L.ReLU(name="relu")(image), name="inner")
    outer = keras.Sequential([keras.Input((4, 4, 2)), inner], name="outer")
    x = outer(inner(image))
    graph = functional.flattened(keras.Model(image, [x, inner(x)]))
    assert _named(graph) == [
        (("inner",), "relu"),
        (("outer", "inner"), "relu"),
        (("inner",), "relu"),
    ]
    first, second, third = graph.calls
    assert first.inputs == list(graph.inputs)
    assert second.inputs == first.results
    assert graph.outputs == (*second.results, *third.results)
    assert third.results[0].call is third


def test_arguments_keep_their_structure():
    image = keras.Input((4, 4, 2))
    x = keras.ops.concatenate([image[:, 1:], image[:, :1]], axis=1)
    graph = functional.flattened(keras.Model(image, x))
    *slices, joined = graph.calls
    assert [call.args[1] for call in slices] == [
        (slice(None), slice(1, None)),
        (slice(None), slice(None, 1)),
    ]
    assert joined.args == ([*slices[0].results, *slices[1].results],)
    assert joined.results[0].shape == (None, 4, 4, 2)


def test_readers_are_counted_with_outputs():
    image = keras.Input((4,))
    x = L.ReLU()(image)
    graph = functional.flattened(keras.Model(image, [x, L.Add()([x, x])]))
    readers = functional.readers(graph)
    assert [readers[each] for each in graph.outputs] == [3, 1]


def test_a_model_without_a_graph():
    with pytest.raises(ValueError, match="`model`"):
        functional.flattened(keras.Sequential([L.Dense(2)]))
