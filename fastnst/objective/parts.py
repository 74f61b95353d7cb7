"""What the objective says of a picture: its terms by name, and their weighted sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fastnst.objective.terms import EPSILON


@dataclass(frozen=True)
class LossParts:
    """What ``Objective`` returns: its unweighted terms by name, and their weighted sum, ``total``,
    which is what is descended.

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
