"""Training runs that are stopped, broken and compared."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from fastnst.checkpoint.contents import load_checkpoint
from fastnst.cli import main
from fastnst.training.module import StyleTraining


def train(arguments: list[str], *more: str) -> int:
    return main([*arguments, *more])


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path).weights


def assert_same_weights(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


class stopped_after:  # noqa: N801
    """Sends a signal to this process in the step of that number."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number

    def __enter__(self) -> None:
        self.patch = pytest.MonkeyPatch()
        step, number, original = self.step, self.number, StyleTraining.training_step

        def training_step(module, batch, batch_idx):
            if module.global_step + 1 == step:
                os.kill(os.getpid(), number)
            return original(module, batch, batch_idx)

        self.patch.setattr(StyleTraining, "training_step", training_step)

    def __exit__(self, *exception: object) -> None:
        self.patch.undo()


def last_checkpoint(folder: Path) -> Path:
    return max((folder / "runs").rglob("last.ckpt"), key=lambda path: path.stat().st_mtime_ns)


def break_once(monkeypatch, step: int, damage) -> None:
    """Let ``damage`` have the network, once, after ``step`` steps."""
    original = StyleTraining.losses
    done = []

    def damaged(module, content):
        if module.global_step == step and not done:
            done.append(step)
            with torch.no_grad():
                damage(module.network)
        return original(module, content)

    monkeypatch.setattr(StyleTraining, "losses", damaged)
