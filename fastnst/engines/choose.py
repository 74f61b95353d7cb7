"""Which engine computes a picture, and in which arithmetic."""

from __future__ import annotations

import sys
from pathlib import Path

from fastnst.engines.openvino_graph import installed
from fastnst.errors import ConfigError
from fastnst.machine.parts import has_torch, without

# Pixels below which float32 computes: norms over few positions magnify bfloat16's rounding.
EXACT_BELOW = 65_536
# Pixels from which float32 computes: where memory is short such pictures are done in strips, which
# are in float32, since in bfloat16 they would be rounded otherwise than the whole. So a picture is
# the same on every machine.
EXACT_FROM = 16_000_000
PRECISIONS = ("auto", "float32", "bfloat16")


def choose_engine(name: str, device: str) -> str:
    """The engine for ``name``, "auto", "torch" or "openvino", on ``device``, as users name it.

    "auto" takes OpenVINO where it is installed and the CPU computes, or PyTorch is missing. Raises
    ConfigError.
    """
    if name == "auto":
        on_cpu = device == "cpu" or (device == "auto" and not (_has_accelerator() and has_torch()))
        name = "openvino" if on_cpu and installed() else "torch"
    if name == "torch" and not has_torch():
        raise without(f"--device {device}" if device != "auto" else "--engine torch")
    if name == "openvino":
        if not installed():
            raise ConfigError("--engine openvino: not installed; pip install openvino")
        if device not in ("auto", "cpu"):
            raise ConfigError(f"--engine openvino works on the CPU, not on {device}")
    return name


def _has_accelerator() -> bool:
    """Whether PyTorch may find a GPU, without asking it, which takes longer than a picture."""
    return sys.platform == "darwin" or any(
        Path(path).exists() for path in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
    )


def is_exact(pixels: int, precision: str = "auto") -> bool:
    """Whether float32 computes a whole picture of so many pixels.

    ``precision`` is one of ``PRECISIONS``; bfloat16 is what the hardware does best, which is
    float32 where it has no bfloat16.
    """
    if precision == "auto":
        return not EXACT_BELOW <= pixels < EXACT_FROM
    return precision == "float32"
