"""The forms of the loss, fastnst's own and those of the literature, each a list of terms.

To add a term, write its function in ``terms`` (and, where it compares a style by something new,
what sums features up in ``style_statistics``), give it a weight in ``LossConfig``, and put it into
a form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from fastnst.config import LossConfig
from fastnst.perceptual.backbone import PIXELS, Features
from fastnst.perceptual.style_statistics import MOMENTS, Statistics, Summary, gram_summary
from fastnst.perceptual.terms import (
    content_loss,
    content_loss_sum,
    moments_loss,
    style_loss,
    total_variation_loss,
    total_variation_power,
    total_variation_sum,
)


@dataclass(frozen=True)
class View:
    """What a term may look at: the features (B, C, H, W) of the stylized image and of its content
    image, and the statistics of both the stylized image and the style, by layer; ``least`` is the
    mean square that a content image's features count as at least, ``pixels`` the count of the
    picture's.
    """

    features: Features
    content: Features
    statistics: Mapping[str, Statistics]
    style: Mapping[str, Statistics]
    least: Mapping[str, float]
    pixels: int


@dataclass(frozen=True)
class Term:
    """A named part of a loss: ``at`` gives its value at each of its layers.

    ``weight`` names the option that multiplies it. ``layers`` are those of a configuration. The
    layers' values are averaged or summed as the form has it, with ``layer_weights`` of the
    configuration, equal where there are none. With ``rises`` training lets the weight rise.
    """

    name: str
    weight: str
    layers: Callable[[LossConfig], tuple[str, ...]]
    at: Callable[[View, str], Tensor]
    layer_weights: Callable[[LossConfig], tuple[float, ...]] = lambda _: ()
    rises: bool = False


@dataclass(frozen=True)
class LossForm:
    """How one text writes its loss: how it sums up styles, its terms, and whether the values of
    several layers are averaged, else summed.
    """

    summary: Summary
    terms: tuple[Term, ...]
    mean_of_layers: bool


def _content(at: Callable[[View, str], Tensor]) -> Term:
    return Term("content", "content_weight", lambda config: config.content_layers, at)


def _style(at: Callable[[View, str], Tensor]) -> Term:
    return Term(
        "style", "style_weight", lambda config: config.style_layers, at,
        lambda config: config.style_layer_weights, rises=True,
    )  # fmt: skip


def _total_variation(distance: Callable[[Tensor], Tensor]) -> Term:
    return Term(
        "total_variation", "tv_weight",
        lambda _: (PIXELS,), lambda view, _: distance(view.features[PIXELS]),
    )  # fmt: skip


def _content_relative(view: View, layer: str) -> Tensor:
    return content_loss(view.features[layer], view.content[layer], least=view.least[layer])


def _content_mean(view: View, layer: str) -> Tensor:
    return content_loss(view.features[layer], view.content[layer], relative=False)


def _content_sum(view: View, layer: str) -> Tensor:
    return content_loss_sum(view.features[layer], view.content[layer])


def _content_half_sum(view: View, layer: str) -> Tensor:
    return _content_sum(view, layer) / 2


def _moments(view: View, layer: str) -> Tensor:
    found, style = view.statistics[layer], view.style[layer]
    return moments_loss(found["mean"], found["covariance"], style["mean"], style["covariance"])


def _gram_relative(view: View, layer: str) -> Tensor:
    return style_loss(view.statistics[layer]["gram"], view.style[layer]["gram"])


def _gram_mean(view: View, layer: str) -> Tensor:
    return style_loss(view.statistics[layer]["gram"], view.style[layer]["gram"], relative=False)


def _gram_gatys(view: View, layer: str) -> Tensor:
    # Sum of squares / (4 N^2 M^2), of which the mean over the matrix has the N^2 already.
    return _gram_mean(view, layer) / (4 * _positions(view, layer) ** 2)


def _gram_keras(view: View, layer: str) -> Tensor:
    # N is the picture's 3 channels and M its pixels, whatever the layer.
    entries = view.features[layer].shape[1] ** 2
    return _gram_mean(view, layer) * entries / (4 * 3**2 * view.pixels**2)


def _gram_pytorch(view: View, layer: str) -> Tensor:
    return _gram_mean(view, layer) / (view.features[layer].shape[1] * _positions(view, layer))


def _positions(view: View, layer: str) -> int:
    return view.features[layer].shape[-2] * view.features[layer].shape[-1]


def _gram_form(
    normalization: str,
    content: Callable[[View, str], Tensor],
    style: Callable[[View, str], Tensor],
    total_variation: Callable[[Tensor], Tensor],
    mean_of_layers: bool,
) -> LossForm:
    terms = (_content(content), _style(style), _total_variation(total_variation))
    return LossForm(gram_summary(normalization), terms, mean_of_layers)


FORMS: Mapping[str, LossForm] = {
    # Every term a ratio, the style by mean and covariance: see content_loss and moments_loss.
    "moments": LossForm(
        MOMENTS,
        (_content(_content_relative), _style(_moments), _total_variation(total_variation_loss)),
        mean_of_layers=True,
    ),
    # The same by Gram matrices: see style_loss.
    "relative": _gram_form(
        "positions", _content_relative, _gram_relative, total_variation_loss, mean_of_layers=True
    ),
    # Johnson et al. (2016), eq. 2 to 4.
    "johnson": _gram_form(
        "elements", _content_mean, _gram_mean, total_variation_loss, mean_of_layers=False
    ),
    # Gatys et al. (2016), eq. 1 to 5.
    "gatys": _gram_form(
        "none", _content_half_sum, _gram_gatys, total_variation_loss, mean_of_layers=True
    ),
    # The recipes of configs/optimize, named after what they are written in.
    "tensorflow": _gram_form(
        "positions", _content_mean, _gram_mean, total_variation_sum, mean_of_layers=True
    ),
    "keras": _gram_form(
        "none", _content_sum, _gram_keras, total_variation_power, mean_of_layers=True
    ),
    "eager": _gram_form(
        "none", _content_mean, _gram_gatys, total_variation_loss, mean_of_layers=True
    ),
    "eager-sum": _gram_form(
        "none", _content_sum, _gram_gatys, total_variation_loss, mean_of_layers=True
    ),
    "pytorch": _gram_form(
        "none", _content_mean, _gram_pytorch, total_variation_loss, mean_of_layers=False
    ),
}
