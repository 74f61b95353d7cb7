"""The one perceptual loss: content, style and total variation.

Training, the reference optimization and validation all call ``PerceptualLoss``, so their numbers
can be compared. Its terms are those of a form of ``forms``; it only holds targets and weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from fastnst.config import LossConfig
from fastnst.errors import BackboneError, ConfigError
from fastnst.perceptual.backbone import Backbone, Features, smallest_side
from fastnst.perceptual.forms import FORMS, Term, View
from fastnst.perceptual.style_statistics import Statistics
from fastnst.perceptual.terms import EPSILON, LEAST_CONTENT

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


@dataclass(frozen=True)
class LossParts:
    """What ``PerceptualLoss`` returns: its unweighted terms by name, and their weighted sum.

    Every value is a scalar tensor; ``layers`` has each term's value at each of its layers, of which
    the term is the weighted mean or sum, as the form has it.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    layers: Mapping[str, Mapping[str, Tensor]]
    weights: Mapping[str, float]

    def named(self) -> dict[str, Tensor]:
        """The unweighted terms by name."""
        return dict(self.terms)

    def weighted(self) -> dict[str, Tensor]:
        """Each term times its weight; these sum to ``total``."""
        return {name: term * self.weights[name] for name, term in self.terms.items()}

    def detach(self) -> LossParts:
        """The same values without their graph."""
        return replace(
            self,
            total=self.total.detach(),
            terms={name: term.detach() for name, term in self.terms.items()},
            layers={
                name: {layer: value.detach() for layer, value in values.items()}
                for name, values in self.layers.items()
            },
        )

    def numbers(self) -> list[Tensor]:
        """Every value but the weights, in an order of its own."""
        layers = [value for values in self.layers.values() for value in values.values()]
        return [self.total, *self.terms.values(), *layers]

    def with_numbers(self, numbers: Sequence[Tensor]) -> LossParts:
        """The same with others in the place of ``numbers()``."""
        total, *rest = numbers
        values = iter(rest)
        return replace(
            self,
            total=total,
            terms={name: next(values) for name in self.terms},
            layers={
                name: {layer: next(values) for layer in layers}
                for name, layers in self.layers.items()
            },
        )

    def broken_terms(self) -> list[str]:
        """Names of the terms that are no finite numbers: none, where ``total`` is finite."""
        if bool(torch.isfinite(self.total)):
            return []
        names = [name for name, term in self.terms.items() if not bool(torch.isfinite(term))]
        return names or ["total"]

    def shares(self) -> dict[str, Tensor]:
        """Each weighted term as a share, 0..1, of ``total``."""
        total = self.total + EPSILON
        return {name: term / total for name, term in self.weighted().items()}


class PerceptualLoss(nn.Module):
    """Perceptual loss of Johnson et al. (2016) for one style, in the form that ``config`` names.

    ``targets`` are the style's, see ``style_targets``. In the form "moments" (the default) every
    term is a ratio and layers are averaged, so that a weight means the same whatever the style and
    the backbone; in "relative" too; the other forms of ``FORMS`` are literal.
    Raises ConfigError for layers that the backbone hasn't, BackboneError for targets that are not
    the backbone's.
    """

    def __init__(self, backbone: Backbone, targets: Targets, config: LossConfig) -> None:
        super().__init__()
        backbone.check_layers((*config.content_layers, *config.style_layers))
        self.backbone = backbone
        self.config = config
        self.form = FORMS[config.loss]
        self.weights = {term.name: float(getattr(config, term.weight)) for term in self.form.terms}
        self._least = least_squares(backbone, config)
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

    def content_features(self, content: Tensor) -> Features:
        """What ``forward`` needs of a content image (B, 3, H, W), RGB, 0..1; no gradient."""
        with torch.no_grad():
            features: Features = self.backbone(
                content, self.config.content_layers, self.config.pooling, self.config.padding
            )
            return features

    def forward(
        self, stylized: Tensor, content_features: Features, style_share: float = 1.0
    ) -> LossParts:
        """Loss of stylized images (B, 3, H, W), RGB, 0..1, against their content's features.

        ``style_share`` multiplies the style weight: training lets it rise to 1.
        """
        config, terms = self.config, self.form.terms
        layers = {term.name: term.layers(config) for term in terms}
        features = self.backbone(
            stylized, {layer for names in layers.values() for layer in names},
            config.pooling, config.padding,
        )  # fmt: skip
        view = View(
            features,
            content_features,
            {layer: self.form.summary.of(features[layer]) for layer in config.style_layers},
            self.targets,
            self._least,
            stylized.shape[-2] * stylized.shape[-1],
        )
        values = {
            term.name: {name: term.at(view, name) for name in layers[term.name]} for term in terms
        }
        found = {term.name: self._reduced(term, values[term.name]) for term in terms}
        weights = {
            term.name: self.weights[term.name] * (style_share if term.rises else 1.0)
            for term in terms
        }
        total = torch.stack([found[name] * weights[name] for name in found]).sum()
        return LossParts(total, found, values, weights)

    def _reduced(self, term: Term, values: Mapping[str, Tensor]) -> Tensor:
        """The layers' values with their weights: the mean or the sum, as the form has it."""
        stacked = torch.stack(list(values.values()))
        factors = stacked.new_tensor(term.layer_weights(self.config) or [1.0] * len(values))
        total = (stacked * factors).sum()
        return total / factors.sum() if self.form.mean_of_layers else total
