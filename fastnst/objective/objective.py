"""The one objective: everything that a picture, and the network that painted it, is judged by.

Training, the reference optimization and validation all call ``Objective``, so their numbers can be
compared. Its terms are those of ``forms``; it only holds targets and weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fastnst.config import LossConfig
from fastnst.errors import BackboneError, ConfigError
from fastnst.objective.backbone import Backbone, smallest_side
from fastnst.objective.contours import ContourDetector
from fastnst.objective.forms import FORMS, Network, Seen, Term, View, terms_of
from fastnst.objective.parts import LossParts
from fastnst.objective.spectrum import Spectrum
from fastnst.objective.style_statistics import Statistics
from fastnst.objective.terms import LEAST_CONTENT

# Pixels a side of the white picture that features are held against.
WHITE_SIDE = 64

# The style's statistics by layer, such as {"relu3_1": {"mean": (C,), "covariance": (C, C)}}.
Targets = Mapping[str, Statistics]


def style_targets(
    backbone: Backbone,
    images: Sequence[Tensor],
    config: LossConfig,
    weights: Sequence[float] = (),
) -> dict[str, Statistics]:
    """The style's statistics, float32, at each style layer of ``config``, as its form sums up.

    images: one or more style images (1, 3, H, W), RGB, 0..1, of any sizes. Several are pooled, with
    ``weights`` (positive; equal where there are none).
    Raises ConfigError where the numbers of weights and images differ.
    """
    if weights and len(weights) != len(images):
        raise ConfigError(f"{len(weights)} style weights for {len(images)} style images")
    given = torch.tensor(list(weights) or [1.0] * len(images), dtype=torch.float64)
    shares = (given / given.sum()).tolist()
    summary = FORMS[config.loss].summary
    found: list[dict[str, Statistics]] = []
    with torch.no_grad():
        for image in images:
            features = backbone(image, config.style_layers, config.pooling, config.padding)
            found.append({layer: _first(summary.of(features[layer])) for layer in features})
    return {
        layer: summary.pooled([one[layer] for one in found], shares)
        for layer in config.style_layers
    }


def least_squares(backbone: Backbone, config: LossConfig) -> dict[str, float]:
    """The mean square that a content image's features count as at least, at each content layer."""
    layers = config.content_layers
    side = max(WHITE_SIDE, smallest_side(layers))
    white = torch.ones(1, 3, side, side, device=backbone.mean.device)
    with torch.no_grad():
        found = backbone(white, layers, config.pooling, config.padding)
    return {layer: LEAST_CONTENT * float(found[layer].square().mean()) for layer in layers}


def _first(statistics: Statistics) -> Statistics:
    """Those of the first picture, without B."""
    return {name: values[0] for name, values in statistics.items()}


class Objective(nn.Module):
    """What pictures of one style are judged by: the terms that ``config`` has, in the form that it
    names (``forms.terms_of``), beginning with those of Johnson et al. (2016).

    ``targets`` are the style's, see ``style_targets``, and ``spectrum`` is its own. In the form
    "moments" (the default) every term is a ratio and layers are averaged, so that a weight means
    the same whatever the style and the backbone; in "relative" too; the other forms are literal.
    Raises ConfigError for layers that the backbone hasn't, BackboneError for targets that are not
    the backbone's.
    """

    def __init__(
        self,
        backbone: Backbone,
        targets: Targets,
        config: LossConfig,
        spectrum: Spectrum | None = None,
    ) -> None:
        super().__init__()
        backbone.check_layers((*config.content_layers, *config.style_layers))
        self.backbone = backbone
        self.config = config
        self.form = FORMS[config.loss]
        self._least = least_squares(backbone, config)
        self.terms = terms_of(config)
        self.weights = {term.name: float(getattr(config, term.weight)) for term in self.terms}
        self.spectrum = spectrum or Spectrum(())
        detects = any(term.contours(config) for term in self.terms)
        self.contours = ContourDetector(backbone) if detects else None
        self._names: dict[str, dict[str, str]] = {}
        for layer in config.style_layers:
            self._keep(layer, targets.get(layer, {}))

    def _keep(self, layer: str, statistics: Statistics) -> None:
        """Make a style layer's target move with the module."""
        width = self.backbone.channels(layer)
        expected = _first(self.form.summary.of(torch.zeros(1, width, 1, 1)))
        if {n: v.shape for n, v in statistics.items()} != {n: v.shape for n, v in expected.items()}:
            raise BackboneError(f"the style's target at {layer} is not this backbone's")
        self._names[layer] = {name: f"target_{layer}_{name}" for name in statistics}
        for name, values in statistics.items():
            self.register_buffer(self._names[layer][name], values, persistent=False)

    @property
    def targets(self) -> dict[str, Statistics]:
        """The style's statistics at each style layer."""
        return {
            layer: {name: getattr(self, buffer) for name, buffer in names.items()}
            for layer, names in self._names.items()
        }

    def see_content(self, content: Tensor) -> Seen:
        """What ``forward`` needs of a content image (B, 3, H, W), RGB, 0..1; no gradient."""
        with torch.no_grad():
            return self._seen(content, [term for term in self.terms if term.of_content])

    def forward(
        self,
        stylized: Tensor,
        content: Seen,
        style_share: float = 1.0,
        network: Network | None = None,
        move: tuple[int, int] = (1, 1),
    ) -> LossParts:
        """The terms of stylized images (B, 3, H, W), RGB, 0..1, of ``content``.

        ``style_share`` multiplies the style weight: training lets it rise to 1. With the
        ``network`` that painted them, a function of content, the terms of the network are among
        them, for which it paints its picture again, moved by ``move`` (``consistency.offset``).
        """
        terms = [term for term in self.terms if network is not None or not term.of_network]
        seen = self._seen(stylized, terms)
        summed_up = {
            layer: self.form.summary.of(seen.features[layer]) for layer in self.config.style_layers
        }
        view = View(
            self.config,
            seen,
            content,
            summed_up,
            self.targets,
            self._least,
            self.spectrum,
            network,
            move,
        )
        values = {term.name: term.values(view) for term in terms}
        found = {term.name: self._reduced(term, values[term.name]) for term in terms}
        weights = {
            term.name: self.weights[term.name] * (style_share if term.rises else 1.0)
            for term in terms
        }
        total = torch.stack([found[name] * weights[name] for name in found]).sum()
        return LossParts(total, found, values, weights)

    def of_step(
        self, network: Network, content: Tensor, style_share: float, move: tuple[int, int]
    ) -> tuple[Tensor, LossParts]:
        """What ``network`` makes of content (B, 3, H, W), 0..1, and every term of that: what a step
        of training descends.
        """
        content = content.contiguous(memory_format=torch.channels_last)
        seen = self.see_content(content)
        stylized = network(content)
        return stylized, self(stylized, seen, style_share, network, move)

    def _seen(self, picture: Tensor, terms: Sequence[Term]) -> Seen:
        """A picture with all that ``terms`` need of it."""
        config = self.config
        layers = {layer for term in terms for layer in term.layers(config)}
        outlined = {layer for term in terms for layer in term.contours(config)}
        if self.contours is not None:
            layers.update(self.contours.shared(outlined))
        features = self.backbone(picture, layers, config.pooling, config.padding)
        if self.contours is None:
            return Seen(picture, features, {})
        return Seen(picture, features, self.contours(picture, outlined, features, config))

    def _reduced(self, term: Term, values: Mapping[str, Tensor]) -> Tensor:
        """The sum of a term's parts; of its layers the weighted mean or sum, as the form has it."""
        stacked = torch.stack(list(values.values()))
        if not term.by_layer:
            return stacked.sum()
        factors = stacked.new_tensor(term.layer_weights(self.config) or [1.0] * len(values))
        total = (stacked * factors).sum()
        return total / factors.sum() if self.form.mean_of_layers else total
