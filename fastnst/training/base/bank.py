"""A trunk that all styles share, and each style's own scales and shifts in its norms."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from fastnst.checkpoint.contents import BANK_KEY, Checkpoint
from fastnst.networks.modules import TransferNetwork


class Bank(nn.Module):
    """Conditional instance normalization (Dumoulin et al. 2017): the ``network``, whose own scales
    and shifts stay as they are, and those of each style, in the order of ``names``.
    """

    def __init__(self, network: TransferNetwork, styles: int) -> None:
        super().__init__()
        self.network = network
        self.names = norm_names(network)
        values = dict(network.named_parameters())
        for name in self.names:
            values[name].requires_grad_(False)
        self.own = nn.ModuleList(
            nn.ParameterList(nn.Parameter(values[name].detach().clone()) for name in self.names)
            for _ in range(styles)
        )

    def norms_of(self, style: int) -> dict[str, Tensor]:
        """A style's scales and shifts, by the names that they have in the network."""
        return dict(zip(self.names, self.own[style].parameters(), strict=True))

    @torch.no_grad()
    def adopt(self, start: Checkpoint, styles: Sequence[str]) -> None:
        """Take over the scales and shifts of those styles that an earlier base has."""
        earlier = start.contents[BANK_KEY]
        for number, style in enumerate(styles):
            if style in earlier["styles"]:
                place = earlier["styles"].index(style)
                for name, value in self.norms_of(number).items():
                    value.copy_(earlier["norms"][name][place])

    def of_style(self, style: int) -> partial[Tensor]:
        """The network of one style, a function of content (B, 3, H, W), 0..1."""
        return partial(self.forward, style)

    def forward(self, style: int, content: Tensor) -> Tensor:
        """Content (B, 3, H, W), 0..1, in a style."""
        own = self.norms_of(style)
        result: Tensor = torch.func.functional_call(self.network, own, (content,))
        return result

    def norms(self) -> dict[str, Tensor]:
        """Every style's scales and shifts, (styles, C) by name."""
        every = [self.norms_of(style) for style in range(len(self.own))]
        return {name: torch.stack([own[name].detach() for own in every]) for name in self.names}

    def base(self) -> dict[str, Tensor]:
        """The network's state with the mean scales and shifts."""
        state = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        return state | {name: values.mean(0) for name, values in self.norms().items()}


def norm_names(network: TransferNetwork) -> list[str]:
    """Names of the instance norms' scales and shifts."""
    norms = [n for n, m in network.named_modules() if isinstance(m, torch.nn.InstanceNorm2d)]
    return [f"{name}.{part}" for name in norms for part in ("weight", "bias")]
