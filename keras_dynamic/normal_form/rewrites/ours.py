"""Keeps the layers of `keras_dynamic.layers`, but for one without a form."""

from typing import Any

from keras_dynamic import layers
from keras_dynamic.normal_form.rewrite import Rewrite, refuse
from keras_dynamic.normal_form.site import Site


def _kept(site: Site) -> Any:
    return site.keep()


def _basis_depthwise(site: Site) -> Any:
    raise refuse(
        "it combines the kernels of a depthwise convolution, for which no form "
        "runs in XNNPACK",
        "in `basisnet`, let `static` name a part of the names of such layers",
    )


REWRITES = (
    Rewrite(
        layers=(
            layers.BasisCoefficients,
            layers.BasisConv2D,
            layers.Bias,
            layers.BilinearResize,
            layers.Gate,
            layers.GradientScale,
            layers.Multiple,
            layers.Preference,
            layers.Score,
        ),
        apply=_kept,
    ),
    Rewrite(layers=(layers.BasisDepthwiseConv2D,), apply=_basis_depthwise),
)
