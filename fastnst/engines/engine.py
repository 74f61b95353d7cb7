"""What an engine is: that which computes a transfer network's passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fastnst.engines.choose import choose_engine
from fastnst.errors import CheckpointError
from fastnst.networks.architecture import Layer
from fastnst.strips.network import Backend


class Engine(Backend, Protocol):
    """A transfer network ready to compute, whole pictures or (``Backend``) parts of strips.

    Threads may share one. ``name`` is what ``--engine`` calls it, ``precision`` one of
    ``fastnst.engines.choose.PRECISIONS``, ``layers`` the network's and ``weights`` its arrays.
    """

    name: str
    precision: str
    layers: Sequence[Layer]
    weights: Mapping[str, np.ndarray]

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Stylize uint8 (H, W, 3), RGB, sRGB; the result has the same shape and type."""

    def release(self) -> None:
        """Give back memory that a call leaves behind to make the next one quicker."""


def open_engine(
    name: str,
    device: str,
    network: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    precision: str = "auto",
    path: Path = Path("network"),
) -> Engine:
    """The engine of ``fastnst.engines.choose.choose_engine`` for a ``network``'s kind and options.

    Raises ConfigError, and CheckpointError with ``path`` where the weights are not the network's.
    """
    kind, options = network["kind"], network["options"]
    build: Callable[[], Engine]
    # Imported where it computes: PyTorch takes longer to start than a picture takes on the other.
    if choose_engine(name, device) == "openvino":
        from fastnst.engines.openvino_engine import OpenVinoEngine

        def build() -> Engine:
            return OpenVinoEngine(kind, options, weights, precision)
    else:
        from fastnst.engines.torch_engine import TorchEngine
        from fastnst.machine.device import choose_device

        chosen = choose_device(device)

        def build() -> Engine:
            return TorchEngine(kind, options, weights, chosen)

    try:
        return build()
    # OpenVINO and PyTorch tell of shapes that don't fit by RuntimeError.
    except (KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: its weights don't fit the network it names ({kind} {options})"
        ) from error
