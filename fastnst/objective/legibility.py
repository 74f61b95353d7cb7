"""What keeps a subject legible, of pixels alone: its structure in lightness, and its colours."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Luma (Rec. 601), and two orthonormal opponent axes of colour.
LUMA = (0.299, 0.587, 0.114)
OPPONENT = ((2**-0.5, 0.0, -(2**-0.5)), (6**-0.5, -2 * 6**-0.5, 6**-0.5))
# Sizes that structure is compared at, as divisors, and the side of a window there in pixels: parts
# of faces are 8 to 16 pixels of a picture of a person.
DIVISORS = (1, 2)
WINDOW = 8
# The variance below which a window has no structure: 8 levels of 255.
NO_STRUCTURE = 1e-3
# Side of the cells that colours are compared between, in pixels: strokes within one are free.
CELL = 16
# Variances below which there are no colours to compare.
NO_COLOR, NO_HUE = 2e-3, 2e-4
# Variance of what nobody sees: differences of 2 or 3 levels of 255.
UNSEEN = 1e-4


def structure_loss(stylized: Tensor, content: Tensor, divisor: int = 1) -> Tensor:
    """Distance of the structure of stylized images (B, 3, H, W), RGB, 0..1, from their content's.

    1 - s, where s is the structure term of SSIM (Wang et al. 2004, eq. 10): the correlation of
    lightness within windows of 8 x 8 pixels, of the pictures at 1 / ``divisor`` of their size. What
    is lighter or darker than its surroundings stays so, at whatever lightness and contrast; a
    contour, which is where the sign changes, stays in its place. Windows count by how much
    structure the photograph has: flat ones are free. SSIM's constant, by which pictures without
    contrast are alike, is the painted one's alone, and none of it is in the numerator: there a
    picture that lost its contrast has lost its structure.
    A scalar, the mean over the batch: 0 for the same structure, 1 for none of it, up to 2 for the
    negative; 0 for pictures without a window.
    """
    with torch.autocast(stylized.device.type, enabled=False):
        ours, theirs = (_lightness(picture, divisor) for picture in (stylized, content))
        if min(ours.shape[-2:]) < WINDOW:
            return stylized.float().sum() * 0
        our_mean, their_mean = _windows(ours), _windows(theirs)
        # Variances are differences of near numbers, which rounding may leave below 0.
        our_variance = (_windows(ours.square()) - our_mean.square()).clamp_min(0)
        their_variance = (_windows(theirs.square()) - their_mean.square()).clamp_min(0)
        covariance = _windows(ours * theirs) - our_mean * their_mean
        deviations = ((our_variance + UNSEEN) * their_variance.clamp_min(1e-8)).sqrt()
        similarity = covariance / deviations
        counts = their_variance / (their_variance + NO_STRUCTURE)
        sums = (counts * (1 - similarity)).sum(dim=(1, 2, 3))
        # A window more, so that a blank photograph is 0 and one with hardly anything is near it.
        return (sums / (counts.sum(dim=(1, 2, 3)) + 1)).mean()


def color_loss(stylized: Tensor, content: Tensor) -> Tensor:
    """How far the colours of stylized images (B, 3, H, W), RGB, 0..1, are from being a function of
    their content's, and hues of the content's from being told apart in them.

    The palette is free: of the means over cells, linear regression within each picture leaves a
    share of variance unexplained, of painted colours by the photograph's (so that a thing is
    painted in one colour, not in all of the palette) plus of the photograph's hues by painted ones
    (so that two things of different hues are painted in two). A scalar, the mean over the batch: 0
    to 2, 0 for any linear map of the colours that loses none; 0 where there are fewer cells than
    regression needs.
    """
    with torch.autocast(stylized.device.type, enabled=False):
        ours, theirs = _axes(stylized), _axes(content)
        if min(ours.shape[-2:]) < 4 * CELL:
            return stylized.float().sum() * 0
        our_colors, their_colors = _cells(ours), _cells(theirs)
        variance = their_colors.square().mean(1).sum(1)
        strewn = _unexplained(our_colors, their_colors, NO_COLOR)
        lost = _unexplained(their_colors[..., 1:], our_colors[..., 1:], NO_HUE)
        # Strokes on a photograph without colours of its own are free.
        return (strewn * variance / (variance + NO_COLOR) + lost).mean()


def _lightness(picture: Tensor, divisor: int) -> Tensor:
    """(B, 1, H, W), float32, at 1 / ``divisor`` of the size."""
    luma = torch.tensor(LUMA, device=picture.device)[:, None, None]
    lightness = (picture.float() * luma).sum(1, keepdim=True)
    if divisor > 1 and min(lightness.shape[-2:]) >= divisor:
        return F.avg_pool2d(lightness, divisor)
    return lightness


def _windows(values: Tensor) -> Tensor:
    """Means over every window."""
    return F.avg_pool2d(values, WINDOW, stride=1)


def _axes(picture: Tensor) -> Tensor:
    """Lightness and two differences of colour, orthonormal, (B, 3, H, W), float32."""
    axes = torch.tensor(((3**-0.5,) * 3, *OPPONENT), device=picture.device)
    return torch.einsum("ij,bjhw->bihw", axes, picture.float())


def _cells(values: Tensor) -> Tensor:
    """Means of (B, C, H, W) over cells, (B, cells, C), less the picture's."""
    means = F.avg_pool2d(values, CELL).flatten(2).transpose(1, 2)
    return means - means.mean(1, keepdim=True)


def _unexplained(values: Tensor, by: Tensor, least: float) -> Tensor:
    """Fraction of the variance of values (B, N, C) that linear regression on others (B, N, D)
    leaves: the mean over axes, (B,). Means of both are 0. The others are taken to have unseen
    noise, and variances the floor ``least``.
    """
    count = by.shape[1]
    noise = UNSEEN * torch.eye(by.shape[2], device=by.device)
    slopes = torch.linalg.solve(
        by.transpose(1, 2) @ by / count + noise, by.transpose(1, 2) @ values / count
    )
    left = (values - by @ slopes).square().mean(1) + UNSEEN * slopes.square().sum(1)
    result: Tensor = (left / (values.square().mean(1) + least)).mean(1)
    return result
