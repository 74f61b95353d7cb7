"""The spectrum loss: fine patterns that the painting has not."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Sides of a window, the larger one where pictures and style have room for it. Half of each side it
# shares with the next.
SIDES = (64, 32)
# Cycles a pixel above which a spectrum counts: what is coarser is the photograph's to say.
LOWEST = 0.1
# Power below which nothing is seen: noise of a level of 255.
UNSEEN = 1e-5
# What is more than so many medians of power at the same distance from 0 is a pattern.
PEAK = 2
# Lightness and two differences of colour, of which a pattern may be in any; orthonormal.
AXES = ((3**-0.5, 3**-0.5, 3**-0.5), (2**-0.5, 0.0, -(2**-0.5)), (6**-0.5, -2 * 6**-0.5, 6**-0.5))


class Spectrum:
    """How far pictures are from the spectrum of a style, in its finest octaves.

    Feature statistics ask for strokes, and a network finds that a fine regular pattern answers as
    well, one that a painting has nowhere: a periodic artifact in flat areas. It is a peak of the
    spectrum. So the power at each frequency, in windows of 64 x 64 pixels (32 in small crops), is
    held against the painting's (in kind: Liu, Gousseau and Xia 2016, "Texture Synthesis Through
    Convolutional Neural Networks and Spectrum Constraints"); which asks for edges as sharp as the
    painting's, too.

    styles: one or more style images (1, 3, H, W), RGB, 0..1, pooled with ``weights`` (equal where
    there are none); those smaller than a window have no part in it. A scan may have a pattern of
    its own, a printer's screen, a canvas, blocks of JPEG: of a style's power no more counts than
    twice the median of its distance from 0. The styles' power is computed when it is asked for.
    """

    def __init__(self, styles: Sequence[Tensor], weights: Sequence[float] = ()) -> None:
        shares = list(weights) or [1.0] * len(styles)
        self._styles = list(zip(styles, shares, strict=True))
        # The logarithm of the styles' power by the window's side; of those that they have room for.
        self._known: dict[int, Tensor] = {}

    def __call__(self, pictures: Tensor) -> Tensor:
        """The spectrum loss: mean square difference of the logarithms of a batch's power
        (B, 3, H, W), 0..1, and the style's, over frequencies and axes of colour. Scalar: 0 for the
        style itself where it has no pattern, 1 for a factor of e everywhere; 0, too, where either
        is smaller than the smallest window, 32 pixels.
        """
        self._look_at_styles()
        room = min(pictures.shape[-2:])
        side = next((side for side in SIDES if side <= room and side in self._known), None)
        if side is None:
            return pictures.sum() * 0
        wanted = self._known[side].to(pictures.device)
        return (_power(pictures, side).log() - wanted).square().mean()

    @torch.no_grad()
    def _look_at_styles(self) -> None:
        """Make numbers of the styles' pictures, once; they are let go of."""
        for side in SIDES if self._styles else ():
            found = [
                (_without_peaks(_power(style, side), side), share)
                for style, share in self._styles if min(style.shape[-2:]) >= side
            ]  # fmt: skip
            if found:
                total = sum(share for _, share in found)
                powers = [power * (share / total) for power, share in found]
                self._known[side] = torch.stack(powers).sum(0).log()
        self._styles = []


def _power(pictures: Tensor, side: int) -> Tensor:
    """Mean power of (B, 3, H, W) over all windows, (3, frequencies): a variance of v that is the
    same at all frequencies is v at each.
    """
    device = pictures.device
    with torch.autocast(device.type, enabled=False):
        axes = torch.tensor(AXES, device=device)
        colours = torch.einsum("ij,bjhw->bihw", axes, pictures.float())
        windows = colours.unfold(2, side, side // 2).unfold(3, side, side // 2)
        window = torch.hann_window(side, device=device)
        window = torch.outer(window, window)
        windows = (windows - windows.mean(dim=(-2, -1), keepdim=True)) * window
        power = torch.fft.rfft2(windows).abs().square().mean(dim=(0, 2, 3))
        fine = _distances(side) >= LOWEST
        result: Tensor = power[:, fine.to(device)] / window.square().sum() + UNSEEN
        return result


def _distances(side: int) -> Tensor:
    """Of each frequency from 0, in cycles a pixel, as ``rfft2`` has them."""
    return torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None])


def _without_peaks(power: Tensor, side: int) -> Tensor:
    """Power (3, frequencies), none above ``PEAK`` medians of its ring."""
    distances = _distances(side)
    rings = (distances[distances >= LOWEST] * side).round().long()
    limits = torch.stack([power[:, rings == ring].median(dim=1).values for ring in rings], dim=1)
    return torch.minimum(power, PEAK * limits)
