import pytest

from tflite.bundle import class_names

GOOD = ("läufer", "a b", "猫", "T-shirt/top", "0", "'=1'", "e\u0301")


def test_lines_of_text():
    class_names.check(GOOD)


def test_whatever_lines_are_split_at_is_refused():
    splitting = [
        chr(n) for n in range(0x3000) if len(f"a{chr(n)}b".splitlines()) > 1
    ]
    assert "\u2028" in splitting
    for letter in splitting:
        with pytest.raises(ValueError, match="`labels`"):
            class_names.check(["x", f"a{letter}b"])


@pytest.mark.parametrize(
    "name",
    ["", " ", " a", "a ", "a\t", "\u00a0a", "a\0b", "a\x1bb", "a\tb", "\udce9"]
    + [1, None, b"a"],
)
def test_what_is_no_line_is_refused(name):
    with pytest.raises(ValueError, match="`names`"):
        class_names.check([*GOOD, name], "names")


def test_no_names_are_refused():
    with pytest.raises(ValueError, match="`labels`"):
        class_names.check([])
