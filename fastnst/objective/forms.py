"""The terms of the objective, and the forms of the literature: each a list of such terms.

To add a term: its function in ``terms``, its entry in a list here, its weight and the reason for
its default in ``fastnst.config.loss``. What it looks at is a ``View``. Where it compares a style by
something new, ``style_statistics`` has what sums features up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from fastnst.config import LossConfig
from fastnst.objective.backbone import PIXELS, Features
from fastnst.objective.consistency import shift_consistency
from fastnst.objective.legibility import DIVISORS, color_loss, structure_loss
from fastnst.objective.spectrum import Spectrum
from fastnst.objective.style_statistics import MOMENTS, Statistics, Summary, gram_summary
from fastnst.objective.terms import (
    content_loss,
    content_loss_sum,
    contour_loss,
    moments_loss,
    style_loss,
    total_variation_loss,
    total_variation_power,
    total_variation_sum,
)

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Seen:
    """A picture as terms see it: its pixels (B, 3, H, W), 0..1, in whatever float type they came,
    and, at the layers that terms ask for, its features (B, C, h, w) and the probabilities of
    contours (B, 1, h, w).
    """

    pixels: Tensor
    features: Features
    contours: Features


@dataclass(frozen=True)
class View:
    """What a term may look at: the stylized image and its content image; the statistics by style
    layer, of the stylized image and of the style; ``least``, the mean square that a content image's
    features count as at least; the style's spectrum; and for terms of the
    network the network itself, and by how many pixels, across and down, to move its picture.
    """

    config: LossConfig
    stylized: Seen
    content: Seen
    statistics: Mapping[str, Statistics]
    style: Mapping[str, Statistics]
    least: Mapping[str, float]
    spectrum: Spectrum
    network: Network | None = None
    move: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Term:
    """A named part of the objective. ``weight`` names the option that multiplies it.

    ``values`` gives one number, or one for each of its parts, which are summed; a term ``by_layer``
    gives one for each layer and is their weighted mean or sum, as the form has it, with
    ``layer_weights`` of the configuration, equal where there are none. ``layers`` are those of the
    stylized image that it needs, ``contours`` those of contours, and of the content image too,
    with ``of_content``. A term
    ``of_network`` judges the network while it is trained, not a picture: optimization of pictures
    has none of these. A term that is ``costly`` is left out at a weight of 0. With ``rises``
    training lets the weight rise.
    """

    name: str
    weight: str
    values: Callable[[View], Mapping[str, Tensor]]
    layers: Callable[[LossConfig], tuple[str, ...]] = lambda _: ()
    contours: Callable[[LossConfig], tuple[str, ...]] = lambda _: ()
    layer_weights: Callable[[LossConfig], tuple[float, ...]] = lambda _: ()
    by_layer: bool = False
    of_content: bool = False
    of_network: bool = False
    costly: bool = False
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
    return Term(
        "content", "content_weight",
        lambda view: {layer: at(view, layer) for layer in view.config.content_layers},
        lambda config: config.content_layers, by_layer=True, of_content=True,
    )  # fmt: skip


def _style(at: Callable[[View, str], Tensor]) -> Term:
    return Term(
        "style", "style_weight",
        lambda view: {layer: at(view, layer) for layer in view.config.style_layers},
        lambda config: config.style_layers,
        layer_weights=lambda config: config.style_layer_weights, by_layer=True, rises=True,
    )  # fmt: skip


def _total_variation(distance: Callable[[Tensor], Tensor]) -> Term:
    return Term(
        "total_variation", "tv_weight",
        lambda view: {PIXELS: distance(view.stylized.features[PIXELS])}, lambda _: (PIXELS,),
    )  # fmt: skip


def _contours(view: View) -> Mapping[str, Tensor]:
    ours, theirs = view.stylized.contours, view.content.contours
    return {layer: contour_loss(ours[layer], theirs[layer]) for layer in view.config.contour_layers}


def _structure(view: View) -> Mapping[str, Tensor]:
    ours, theirs = view.stylized.pixels, view.content.pixels
    return {f"1/{n}": structure_loss(ours, theirs, n) / len(DIVISORS) for n in DIVISORS}


# What keeps a subject legible, in the forms whose terms are ratios.
LEGIBILITY = (
    Term("structure", "structure_weight", _structure, costly=True),
    Term(
        "color", "color_weight",
        lambda view: {"color": color_loss(view.stylized.pixels, view.content.pixels)}, costly=True,
    ),
    Term(
        "contours", "contour_weight", _contours,
        contours=lambda config: config.contour_layers,
        layer_weights=lambda config: config.contour_layer_weights,
        by_layer=True, of_content=True, costly=True,
    ),
)  # fmt: skip


def _shift_consistency(view: View) -> Mapping[str, Tensor]:
    assert view.network is not None
    return shift_consistency(
        view.network, view.content.pixels, view.stylized.pixels, view.move
    )._asdict()


# What a network is trained with besides, whatever the form.
OF_NETWORK = (
    Term(
        "shift_consistency", "stability_weight", _shift_consistency, of_network=True, costly=True,
    ),
    Term(
        "spectrum", "spectrum_weight",
        lambda view: {"spectrum": view.spectrum(view.stylized.pixels)},
        of_network=True, costly=True,
    ),
)  # fmt: skip


def _content_relative(view: View, layer: str) -> Tensor:
    return content_loss(*_both(view, layer), least=view.least[layer])


def _content_mean(view: View, layer: str) -> Tensor:
    return content_loss(*_both(view, layer), relative=False)


def _content_sum(view: View, layer: str) -> Tensor:
    return content_loss_sum(*_both(view, layer))


def _content_half_sum(view: View, layer: str) -> Tensor:
    return _content_sum(view, layer) / 2


def _both(view: View, layer: str) -> tuple[Tensor, Tensor]:
    return view.stylized.features[layer], view.content.features[layer]


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
    entries = view.stylized.features[layer].shape[1] ** 2
    return _gram_mean(view, layer) * entries / (4 * 3**2 * _pixels(view) ** 2)


def _gram_pytorch(view: View, layer: str) -> Tensor:
    return _gram_mean(view, layer) / (
        view.stylized.features[layer].shape[1] * _positions(view, layer)
    )


def _pixels(view: View) -> int:
    return view.stylized.pixels.shape[-2] * view.stylized.pixels.shape[-1]


def _positions(view: View, layer: str) -> int:
    return view.stylized.features[layer].shape[-2] * view.stylized.features[layer].shape[-1]


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
        (
            _content(_content_relative),
            _style(_moments),
            _total_variation(total_variation_loss),
            *LEGIBILITY,
        ),
        mean_of_layers=True,
    ),
    # The same by Gram matrices: see style_loss.
    "relative": LossForm(
        gram_summary("positions"),
        (
            _content(_content_relative),
            _style(_gram_relative),
            _total_variation(total_variation_loss),
            *LEGIBILITY,
        ),
        mean_of_layers=True,
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


def terms_of(config: LossConfig) -> tuple[Term, ...]:
    """The terms of the objective that ``config`` describes, those of the network last.

    A term whose weight is no option of ``config`` is none of its terms: training alone has those of
    the network.
    """
    every = (*FORMS[config.loss].terms, *OF_NETWORK)
    return tuple(
        term for term in every
        if hasattr(config, term.weight) and not (term.costly and not getattr(config, term.weight))
    )  # fmt: skip


def layers_of(config: LossConfig) -> tuple[str, ...]:
    """Every layer that the objective of ``config`` looks at."""
    looked_at = [
        layer for term in terms_of(config)
        for layer in (*term.layers(config), *term.contours(config))
    ]  # fmt: skip
    return tuple(dict.fromkeys(looked_at))
