"""Compares the networks of keras.applications with their normal forms."""

import pytest

from keras_dynamic import check_exits
from tests.support import applications, normal_forms

pytestmark = pytest.mark.applications


@pytest.mark.parametrize(
    "network", applications.BUILT, ids=lambda network: network.name
)
def test_the_normal_form_gives_the_same_logits(network):
    model = applications.build(network)
    check_exits(model)
    given = applications.images(network, model)
    error, rounding, spread = normal_forms.error(model, given)
    assert error < max(1e-5, 4 * rounding)
    # Images that a network cannot tell apart would prove nothing.
    assert spread > 100 * rounding
