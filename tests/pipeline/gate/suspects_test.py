from pipeline.gate import suspects
from tflite.diagnosis.layer_error import LayerError


def error(layer: str, own: float, tensor: str = "") -> LayerError:
    return LayerError(layer, tensor or layer, own, 2 * own + 0.01, 0.99)


USUAL = [error(name, 0.01) for name in ("stem", "middle", "exit_0")]


def test_the_worst_comes_first():
    found = suspects.suspects(
        [*USUAL, error("deep", 0.2), error("exit_1", 0.4)], {}
    )
    assert [line.split()[1] for line in found] == ["exit_1", "deep"]
    assert "own error 40.0 % of its signal, 1.0 % is the median" in found[0]


def test_what_was_always_so_is_no_suspect():
    errors = [*USUAL, error("gate", 0.4), error("deep", 0.1)]
    found = suspects.suspects(errors, {"gate": 0.38, "deep": 0.01})
    assert [line.split()[1] for line in found] == ["deep"]
    assert "1.0 % in the reference" in found[0]


def test_nothing_stands_out():
    [line] = suspects.suspects([*USUAL, error("deep", 0.025)], {})
    assert line.startswith("no layer of the int8 model stands out")
    assert line.endswith("deep, 2.5 % of its signal")


def test_a_layer_is_named_once_and_a_few_are():
    errors = USUAL * 5 + [error(f"l{i}", 0.9 - i / 10) for i in range(7)]
    errors += [error("l0", 0.8, "rescaled")]
    found = suspects.suspects(errors, {})
    assert [line.split()[1] for line in found[:-1]] == [
        f"l{i}" for i in range(5)
    ]
    assert found[-1] == "and 2 more layers"


def test_a_reference_holds_the_largest_of_a_layer():
    errors = [error("a", 0.1), error("b", 0.2), error("a", 0.3)]
    assert suspects.own_errors(errors) == {"a": 0.3, "b": 0.2}
