"""Where a backbone's weights come from: the package, the user's cache, a file or the network.

VGG19 and VGG16 (ImageNet, torchvision's files) are fetched once. The file's SHA-256 is checked
before anything unpickles it, and only its convolutions stay in the cache, as safetensors.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fastnst.errors import BackboneError, DownloadError
from fastnst.machine.cache import cache_folder
from fastnst.machine.download import Progress, Source, download
from fastnst.machine.files import atomic_write, reason, sha256_file
from fastnst.machine.notify import Notify, silent
from fastnst.objective.backbone import TRUNKS, Backbone

EMBEDDED = Path(__file__).with_name("embedded.safetensors")
SOURCES: dict[str, Source] = {
    "vgg19": Source(
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        574_673_361,
    ),
    "vgg16": Source(
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        553_433_881,
    ),
}


def load_backbone(
    name: str = "auto",
    weights_file: Path | None = None,
    on_progress: Progress | None = None,
    notify: Notify = silent,
) -> Backbone:
    """The backbone ``name``: "auto", "vgg19", "vgg16", "embedded" or "vgg19_caffe".

    ``weights_file`` is torchvision's .pth or a safetensors of convolutions; it alone is used then.
    "auto" takes VGG19 from the cache or the network and else the embedded trunk; ``notify`` gets
    one line that says which, and why. Raises BackboneError, which says what to do.
    """
    if weights_file is not None:
        return _from_file(name, weights_file)
    if name == "embedded":
        return _embedded()
    if name == "vgg19_caffe":
        raise BackboneError(
            "vgg19_caffe: fastnst does not fetch these weights; give vgg19-d01eb7cb.pth, which "
            "neural-style-pt's models/download_models.py fetches, with --backbone-weights FILE, "
            "or take --backbone embedded, which has the same preprocessing"
        )
    if name != "auto":
        return _cached(name) or _fetched(name, on_progress)
    backbone, news = _best(on_progress)
    notify(f"backbone: {news}")
    return backbone


def _best(on_progress: Progress | None) -> tuple[Backbone, str]:
    """VGG19 from the cache or the network, else the embedded trunk; and which it is, and why."""
    backbone = _cached("vgg19")
    if backbone is not None:
        return backbone, "VGG19 (ImageNet), from the cache"
    try:
        return _fetched("vgg19", on_progress), "VGG19 (ImageNet), fetched and kept in the cache"
    except BackboneError as error:
        why = str(error).split("; ")[0]
        return _embedded(), f"the embedded VGG16 trunk, since VGG19 can't be had ({why})"


def _embedded() -> Backbone:
    return Backbone("embedded", read_safetensors(EMBEDDED)[0], embedded_origin())


@functools.cache
def embedded_origin() -> str:
    """The embedded trunk's ``origin``."""
    return _origin(EMBEDDED)


def _origin(file: Path) -> str:
    return f"sha256:{sha256_file(file)}"


def _cache_file(name: str) -> Path:
    return cache_folder() / f"{name}-{SOURCES[name].sha256[:8]}-convolutions.safetensors"


def _cached(name: str) -> Backbone | None:
    file = _cache_file(name)
    try:
        return Backbone(name, read_safetensors(file)[0], f"sha256:{SOURCES[name].sha256}")
    except BackboneError:  # Absent or damaged: fetching it again replaces it.
        return None


def read_safetensors(file: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """A file's tensors by name, and its metadata. Raises BackboneError."""
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            return tensors, opened.metadata() or {}
    except (OSError, SafetensorError) as error:
        why = reason(error) if isinstance(error, OSError) else "damaged or no safetensors file"
        raise BackboneError(f"{file}: can't be read ({why})") from error


def _from_file(name: str, file: Path) -> Backbone:
    if not file.is_file():
        raise BackboneError(f"{file}: no such file of backbone weights")
    if file.suffix == ".safetensors":
        weights = read_safetensors(file)[0]
    else:
        weights = _convolutions(_load_state(file), file)
    if name == "auto":
        name = _recognize(weights, file)
    return Backbone(name, weights, _origin(file))


def _recognize(weights: Mapping[str, Tensor], file: Path) -> str:
    """The trunk whose convolutions these are; the embedded one alone ends at conv5_2."""
    found = {name.removesuffix(".weight") for name in weights if name.endswith(".weight")}
    for name, trunk in TRUNKS.items():
        if found == set(trunk.convolutions()):
            return name
    raise BackboneError(f"{file}: holds the convolutions of neither VGG19 nor VGG16")


def _load_state(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # Damage shows itself in many types; none of them ran code.
        raise BackboneError(f"{file}: not a file of PyTorch weights, or damaged") from error


def _convolutions(state: Any, file: Path) -> dict[str, Tensor]:
    """Torchvision's ``features.N.weight`` by our names; the classifier is left behind."""
    if not isinstance(state, dict):
        raise BackboneError(f"{file}: holds no weights of torchvision's VGG")
    numbers = sorted(
        int(key.split(".")[1])
        for key in state
        if isinstance(key, str) and key.startswith("features.") and key.endswith(".weight")
    )
    names = {13: "vgg16", 16: "vgg19"}.get(len(numbers))
    if names is None:
        raise BackboneError(f"{file}: holds no weights of torchvision's VGG16 or VGG19")
    return {
        f"{conv}.{part}": state[f"features.{number}.{part}"]
        for conv, number in zip(TRUNKS[names].convolutions(), numbers, strict=True)
        for part in ("weight", "bias")
    }


def _fetched(name: str, on_progress: Progress | None) -> Backbone:
    """Fetch, check, keep the convolutions in the cache, and build the backbone from them."""
    source = SOURCES[name]
    folder = cache_folder()
    advice = (
        f"fetch {source.url} elsewhere (SHA-256 {source.sha256}) and give it with "
        "--backbone-weights FILE, or take --backbone embedded"
    )
    if os.environ.get("FASTNST_OFFLINE"):
        raise BackboneError(f"{name}: FASTNST_OFFLINE is set; {advice}")
    part = folder / f"{name}-{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        download(source, part, on_progress)
        weights = _convolutions(_load_state(part), part)
        with atomic_write(_cache_file(name)) as file:
            file.write(save(weights, {"backbone": name, "source_sha256": source.sha256}))
    except (BackboneError, DownloadError) as error:
        raise BackboneError(f"{name}: {error}; {advice}") from error
    except OSError as error:
        raise BackboneError(f"{name}: {folder}: {reason(error)}; {advice}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return Backbone(name, weights, f"sha256:{source.sha256}")
