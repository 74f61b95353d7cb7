"""A trunk that all styles share, and each style's own scales and shifts in its norms."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from fastnst.checkpoint.contents import BANK_KEY, Checkpoint
from fastnst.networks.modules import TransferNetwork


class Bank:
    """Conditional instance normalization (Dumoulin et al. 2017) as flat lists of parameters: the
    ``trunk``, and each style's ``own``, by the names that they have in ``network``.
    """

    def __init__(self, network: TransferNetwork, styles: int) -> None:
        self.network = network
        values = dict(network.named_parameters())
        self.names = norm_names(network)
        self.own = [
            {name: values[name].detach().clone().requires_grad_() for name in self.names}
            for _ in range(styles)
        ]
        self.trunk = [value for name, value in values.items() if name not in self.names]

    @torch.no_grad()
    def adopt(self, start: Checkpoint, styles: Sequence[str]) -> None:
        """Take over the scales and shifts of those styles that an earlier base has."""
        earlier = start.contents[BANK_KEY]
        for own, style in zip(self.own, styles, strict=True):
            if style in earlier["styles"]:
                place = earlier["styles"].index(style)
                for name, value in own.items():
                    value.copy_(earlier["norms"][name][place])

    def parameters(self) -> list[Tensor]:
        return [*self.trunk, *(value for own in self.own for value in own.values())]

    def wearing(self, style: int) -> partial[Tensor]:
        """The network of one style, a function of content (B, 3, H, W), 0..1."""
        return partial(self.stylize, style)

    def stylize(self, style: int, content: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(self.network, self.own[style], (content,))
        return result

    def norms(self) -> dict[str, Tensor]:
        """Every style's scales and shifts, (styles, C) by name."""
        return {name: torch.stack([own[name].detach() for own in self.own]) for name in self.names}

    def base(self) -> dict[str, Tensor]:
        """The network's state with the mean scales and shifts."""
        state = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        return state | {name: values.mean(0) for name, values in self.norms().items()}


def norm_names(network: TransferNetwork) -> list[str]:
    """Names of the instance norms' scales and shifts."""
    norms = [n for n, m in network.named_modules() if isinstance(m, torch.nn.InstanceNorm2d)]
    return [f"{name}.{part}" for name in norms for part in ("weight", "bias")]
