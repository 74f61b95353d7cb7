"""Which device computes, and in which arithmetic."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from fastnst.errors import ConfigError


def choose_device(name: str = "auto") -> torch.device:
    """The device ``name``; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises ConfigError for a name that PyTorch does not know or a device that isn't there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    # What a missing driver raises differs by device: RuntimeError, AssertionError, ...
    except Exception as error:
        raise ConfigError(f"device '{name}' can't be used here: {_choices()}") from error
    return device


def _choices() -> str:
    """The devices that are here, in words."""
    there = ["cpu"]
    if torch.cuda.is_available():
        there += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        there.append("mps")
    return f"there is {' and '.join(there)}" + (" alone" if len(there) == 1 else "")


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself; emulated, it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        has = torch.cpu.get_capabilities()
        return any(bool(has.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def describe_machine(device: torch.device) -> str:
    """The processor or accelerator, the threads and the PyTorch that figures were measured with."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return (
        f"{name}, {torch.get_num_threads()} threads of {os.cpu_count()}, torch {torch.__version__}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
