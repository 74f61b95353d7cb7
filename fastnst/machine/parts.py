"""Which parts of fastnst can be used here: fastnst-apply is the same without what trains."""

from __future__ import annotations

import importlib.util

from fastnst.errors import ConfigError

# What fastnst-apply leaves out (scripts/build_apply_wheel), by the names that are imported.
LEFT_OUT = frozenset((
    "torch", "torchvision", "pytorch_lightning", "lightning_fabric", "tensorboard", "jsonargparse",
    "safetensors",
))  # fmt: skip


def has_torch() -> bool:
    """Whether PyTorch is there to be imported."""
    return importlib.util.find_spec("torch") is not None


def without(what: str, missing: str = "torch") -> ConfigError:
    """The error of something that needs what is not installed."""
    needed = "PyTorch" if missing == "torch" else f"PyTorch and what trains with it ({missing})"
    return ConfigError(
        f"{what} needs {needed}, which is not installed: pip uninstall fastnst-apply, which is "
        "without, then pip install fastnst"
    )
