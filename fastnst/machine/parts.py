"""Which parts of fastnst can be used here, and how those are had that are missing: fastnst-apply is
the same without what trains.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from fastnst.errors import ConfigError

# What fastnst-apply leaves out (scripts/build_apply_wheel), by the names that are imported.
LEFT_OUT = frozenset((
    "torch", "torchvision", "pytorch_lightning", "lightning_fabric", "tensorboard", "yaml",
    "safetensors",
))  # fmt: skip
# What each extra brings, as pip is asked for it. Never fastnst itself: no index has it, and whoever
# took its name there would have what our users install.
EXTRAS = {
    "large": "'pyvips[binary]'",
    "heif": "pi-heif",
    "export": "onnx onnxruntime",
    "video": "av opencv-python-headless",
    "ray": "'ray[data]'",
}
_CHECKOUT = Path(__file__).parents[2]


def install(extra: str) -> str:
    """The command that installs what an extra brings, in whatever way fastnst was installed."""
    return f"pip install {EXTRAS[extra]}"


def has_torch() -> bool:
    """Whether PyTorch is there to be imported."""
    return importlib.util.find_spec("torch") is not None


def without(what: str, missing: str = "torch") -> ConfigError:
    """The error of something that needs what is not installed."""
    needed = "PyTorch" if missing == "torch" else f"PyTorch and what trains with it ({missing})"
    if (_CHECKOUT / "scripts" / "setup").is_file():
        advice = f"run {_CHECKOUT / 'scripts' / 'setup'}"
    else:
        advice = (
            "pip uninstall fastnst-apply, which is without, then 'pip install .' in a copy of "
            "fastnst's repository"
        )
    return ConfigError(f"{what} needs {needed}, which is not installed: {advice}")
