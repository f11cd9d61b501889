"""docs/quantization.md lists what the bridge supports, and no more."""

import re

from tests.support import markdown_blocks
from tflite.quantization import bridge


def test_its_tables_are_the_code():
    text = (markdown_blocks.ROOT / "docs" / "quantization.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*)\|", text, re.MULTILINE)
    listed = {
        layer: tuple(re.findall(r"`(\w+)`", names)) for layer, names in rows
    }
    assert len(listed) == len(rows)
    # What is left out of the translated graph, or becomes several layers.
    others = {"GradientScale"}
    others |= {layer.__name__ for layer in bridge.IN_PARTS}
    assert listed == {**bridge.SUPPORTED, **dict.fromkeys(others, ())}
