"""What a checkpoint says of itself: its ``fastnst`` entry, checked before any use."""

from __future__ import annotations

import contextlib
import inspect
import os
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fastnst.checkpoint.others import (
    foreign_weights,
    is_archive,
    refuse_foreign_archive,
    refuse_others,
    told_of_pickle,
)
from fastnst.errors import CheckpointError
from fastnst.machine.files import address_of, reason
from fastnst.networks.architecture import NETWORKS, WIDEST

KEY = "fastnst"
FORMAT_VERSION = 1
PREFIX = "network."
# Limits for a network that a stranger's file asks for: far above any of ours.
MAX_OPTION = 512

# What ``fastnst`` must hold, with the type of each entry.
SCHEMA: Mapping[str, type] = {
    "format_version": int,
    "network": dict,  # kind, options
    "style": list,  # one entry a style image: name, sha256, width, height, weight
    "loss": dict,  # every field of LossConfig
    "backbone": dict,  # name, origin
    "data": dict,  # photos, sha256 of their names and sizes, held_out
    "training": dict,  # steps, images, seconds, and the options of the run
    "losses": dict,  # on the held-out photos: the total, and every term by name
    "versions": dict,
}


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong while the file is read becomes a CheckpointError of one line.

    Archives whose content is larger than they are themselves are refused before.
    """
    if not os.path.isfile(path):
        if address := address_of(path):
            raise CheckpointError(f"{address}: an address, and fastnst reads files; fetch it first")
        if os.path.isdir(path):
            raise CheckpointError(f"{path}: is a folder, no checkpoint; name the file in it")
        if os.path.exists(path):
            raise CheckpointError(f"{path}: a device or a pipe; make a file of it")
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        refuse_others(path)
        _refuse_bomb(path)
        yield
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read ({reason(error)})") from error
    except pickle.UnpicklingError as error:
        told = told_of_pickle(path)
        told = f" but {told}" if told else ", or one that asks to run code; nothing of it was run"
        raise CheckpointError(f"{path}: not a checkpoint{told}") from error
    # A damaged file shows itself as BadZipFile, RuntimeError, KeyError, UnicodeDecodeError, ...
    except Exception as error:
        told = "" if is_archive(path) else told_of_pickle(path)
        told = f" but {told}" if told else ", or cut short or damaged"
        raise CheckpointError(f"{path}: not a checkpoint{told}") from error


def _refuse_bomb(path: Path) -> None:
    if not is_archive(path):
        return  # Either PyTorch's older format or no checkpoint.
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    refuse_foreign_archive(path, [entry.filename for entry in entries])
    # PyTorch compresses nothing.
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise CheckpointError(f"{path}: not a checkpoint: its archive is compressed or damaged")


def read_description(path: Path, contents: Any) -> dict[str, Any]:
    """The ``fastnst`` entry of what a PyTorch file holds. Raises CheckpointError."""
    if not isinstance(contents, dict) or not isinstance(contents.get(KEY), dict):
        raise CheckpointError(
            f"{path}: a PyTorch file, but not a checkpoint of fastnst; {foreign_weights(contents)}"
        )
    info: dict[str, Any] = contents[KEY]
    check_description(path, info)
    return info


def own_weights(contents: Mapping[str, Any]) -> dict[str, Any]:
    """The network's entries of a checkpoint, by their names in the network."""
    return {
        name.removeprefix(PREFIX): value
        for name, value in (contents.get("state_dict") or {}).items()
        if isinstance(name, str) and name.startswith(PREFIX)
    }


def style_name(info: Mapping[str, Any]) -> str:
    """Names of the style images, joined by '+', fit to be a part of a file name."""
    names = "+".join(style["name"] for style in info["style"])
    return re.sub(r"[^\w.+-]", "_", names)[:80] or "stylized"


def ancestors(info: Mapping[str, Any]) -> list[str]:
    """Names of the networks that a network's weights go back to, the oldest first.

    Checkpoints of before all were noted name the last one.
    """
    training = info["training"]
    found = training.get("ancestors", [training.get("started_from")])
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def check_description(path: Path, info: Mapping[str, Any]) -> None:
    """Raises CheckpointError unless ``info`` is a ``fastnst`` entry that this version reads."""
    version = info.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise CheckpointError(f"{path}: says no format version")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: made by a newer fastnst (format {version}, this one reads "
            f"{FORMAT_VERSION}); update fastnst"
        )
    for key, kind in SCHEMA.items():
        if not isinstance(info.get(key), kind):
            raise CheckpointError(
                f"{path}: damaged description ({key} should be a {kind.__name__})"
            )
    described = info["network"]
    if described.get("kind") not in NETWORKS:
        raise CheckpointError(f"{path}: unknown network {described.get('kind')!r}")
    options = described.get("options")
    known = inspect.signature(NETWORKS[described["kind"]]).parameters
    if not isinstance(options, dict) or set(options) - set(known):
        raise CheckpointError(f"{path}: unknown options of the network")
    limits = dict.fromkeys(known, (1, MAX_OPTION)) | {"spread": (1, WIDEST), "skip": (0, 1)}
    in_range = (type(v) is int and limits[n][0] <= v <= limits[n][1] for n, v in options.items())
    if not all(in_range):
        raise CheckpointError(f"{path}: options of the network out of range")
    styles = info["style"]
    if not all(isinstance(style, dict) and isinstance(style.get("name"), str) for style in styles):
        raise CheckpointError(f"{path}: damaged description (style)")
