"""Checkpoints from strangers: read what is right, refuse the rest in one line, run nothing."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import Canary, contents

from fastnst.checkpoint.contents import halved, load_checkpoint, plain, save_checkpoint
from fastnst.checkpoint.description import FORMAT_VERSION, KEY
from fastnst.errors import CheckpointError
from fastnst.networks.modules import build_network


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model.ckpt"


def edited(path: Path, **entries: Any) -> Path:
    data = contents()
    data[KEY].update(entries)
    torch.save(data, path)
    return path


@pytest.mark.parametrize(
    ("kind", "more"), [("fast", {}), ("johnson", {}), ("fast", {"skip": 0}), ("fast", {"skip": 1})]
)
def test_a_checkpoint_alone_rebuilds_its_network(path, kind, more):
    data = contents(kind, **more)
    save_checkpoint(data, path)
    checkpoint = load_checkpoint(path)
    network = checkpoint.network()
    assert checkpoint.style_name == "paint"
    assert checkpoint.step == 7
    assert not network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, data["state_dict"][f"network.{name}"])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"format_version": FORMAT_VERSION + 1}, "newer fastnst"),
        ({"format_version": "1"}, "no format version"),
        ({"network": {"kind": "resnet", "options": {}}}, "unknown network 'resnet'"),
        ({"network": {"kind": "fast", "options": {"width": 10**9}}}, "out of range"),
        ({"network": {"kind": "fast", "options": {"width": True}}}, "out of range"),
        ({"network": {"kind": "fast", "options": {"path": 1}}}, "unknown options"),
        ({"network": {"kind": "fast", "options": {"spread": 4}}}, "out of range"),
        ({"network": {"kind": "fast", "options": {"skip": 2}}}, "out of range"),
        ({"network": {"kind": "fast", "options": {"skip": -1}}}, "out of range"),
        ({"network": {"kind": "fast", "options": {"skip": True}}}, "out of range"),
        ({"network": {"kind": "fast", "options": {"width": 0}}}, "out of range"),
        ({"network": {"kind": "johnson", "options": {"spread": 3}}}, "unknown options"),
        ({"network": {"kind": "johnson", "options": {"skip": 1}}}, "unknown options"),
        ({"style": "paint"}, "damaged description"),
        ({"style": [1]}, "damaged description"),
        ({"style": [{"name": 1}]}, "damaged description"),
        ({"losses": None}, "damaged description"),
    ],
)
def test_a_description_that_is_not_ours_is_refused(path, entries, message):
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(edited(path, **entries))


def test_weights_that_do_not_fit_or_are_no_numbers_are_refused(path):
    with pytest.raises(CheckpointError, match="weights don't fit"):
        load_checkpoint(edited(path, network={"kind": "fast", "options": {}})).network()
    data = contents()
    next(iter(data["state_dict"].values())).fill_(float("nan"))
    torch.save(data, path)
    with pytest.raises(CheckpointError, match="not finite"):
        load_checkpoint(path)


def test_checkpoints_from_before_there_was_a_padding_had_zeros(path):
    data = contents()
    data[KEY]["loss"].pop("padding", None)
    torch.save(data, path)
    assert load_checkpoint(path).loss_config().padding == "zeros"
    data[KEY]["loss"]["padding"] = "replicate"
    torch.save(data, path)
    assert load_checkpoint(path).loss_config().padding == "replicate"


def test_what_half_precision_cannot_hold_stays_as_it_is():
    half = halved({"fits": torch.tensor([1.0, -0.1]), "large": torch.tensor([1.0, 1e6])})
    assert half["fits"].dtype == torch.float16
    assert torch.equal(half["large"], torch.tensor([1.0, 1e6]))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("nested", [False, True])
def test_a_pickle_that_asks_to_run_code_is_refused_unrun(path, tmp_path, protocol, nested):
    canary = tmp_path / "canary"
    payload: Any = Canary(canary)
    path.write_bytes(pickle.dumps({KEY: [payload]} if nested else payload, protocol))
    with pytest.raises(CheckpointError, match=r"not a checkpoint"):
        load_checkpoint(path)
    assert not canary.exists()
    # The canary does sing where nobody takes care.
    pickle.loads(path.read_bytes())
    assert canary.exists()


def test_a_payload_inside_a_real_checkpoint_is_refused_unrun(path, tmp_path):
    canary = tmp_path / "canary"
    data = contents()
    data[KEY]["training"]["steps"] = Canary(canary)
    torch.save(data, path)
    with pytest.raises(CheckpointError, match="nothing of it was run"):
        load_checkpoint(path)
    assert not canary.exists()


def test_every_cut_and_many_flipped_bytes_are_refused_or_harmless(path):
    torch.save(contents(), path)
    whole = path.read_bytes()
    for i in range(16):
        path.write_bytes(whole[: len(whole) * i // 16])
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
    generator = torch.Generator().manual_seed(0)
    for position in torch.randint(0, len(whole), (100,), generator=generator).tolist():
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        try:
            load_checkpoint(path).network()
        except CheckpointError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "damaged|not a"), (b"hello", "damaged|not a"), (b"<html>", "damaged|not a")],
)
def test_text_is_no_checkpoint(path, content, message):
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


def test_missing_and_foreign_files_are_told_apart(path, tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(path)
    torch.save(build_network("johnson").state_dict(), path)
    with pytest.raises(CheckpointError, match="not a checkpoint of fastnst"):
        load_checkpoint(path)


def test_a_failed_save_keeps_the_old_file_and_says_why(path, monkeypatch):
    save_checkpoint(contents(), path)
    before = path.read_bytes()

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save_checkpoint(contents("johnson"), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_plain_leaves_nothing_that_weights_only_refuses(path):
    data = {"a": (1, 2.5), "b": Path("x"), "c": torch.tensor(2), "d": float("nan"), 3: None}
    torch.save(plain(data), path)
    expected = {"a": [1, 2.5], "b": "x", "c": 2, "d": "nan", "3": None}
    assert torch.load(path, weights_only=True) == expected
