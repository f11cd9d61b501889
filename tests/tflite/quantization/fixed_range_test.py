import numpy as np
import pytest

from tflite.quantization import fixed_range

VALUES = np.linspace(-8, 8, 321, dtype=np.float32)


@pytest.mark.parametrize("limit", [1.0, 6.0])
def test_a_fixed_range_has_256_values_and_learns_none(limit):
    quantizer = fixed_range.FixedRange(limit)
    weights = quantizer.build((), "output", None)
    assert weights == {}
    found = quantizer(VALUES, training=True, weights=weights).numpy()
    step = limit / 255
    np.testing.assert_allclose(found, np.round(found / step) * step, atol=1e-5)
    clipped = np.clip(VALUES, 0, limit)
    np.testing.assert_allclose(found, clipped, atol=0.5 * step + 1e-5)
    assert fixed_range.FixedRange(**quantizer.get_config()).limit == limit


def test_the_range_is_the_output_s():
    config = fixed_range.FixedRangeQuantizeConfig(6.0)
    copy = fixed_range.FixedRangeQuantizeConfig(**config.get_config())
    [quantizer] = copy.get_output_quantizers(None)
    assert quantizer.limit == 6.0
    assert not copy.get_weights_and_quantizers(None)
    assert not copy.get_activations_and_quantizers(None)
