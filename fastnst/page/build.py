"""The page as a folder of static files: for any host, or for ``fastnst.page.server``."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image, ImageOps

from fastnst import __version__
from fastnst.checkpoint.description import style_name
from fastnst.checkpoint.mixing import read_mixture
from fastnst.checkpoint.numpy_reader import read_arrays
from fastnst.engines.engine import open_engine
from fastnst.errors import ConfigError
from fastnst.export.onnx_graph import onnx_model
from fastnst.image import write_picture
from fastnst.machine.files import atomic_write, reason
from fastnst.stylize.effects import SHORT_SIDE

STATIC = Path(__file__).parent / "static"
DEMO = Path(__file__).parents[1] / "demo" / "cat.jpg"
# Pixels of a side of a style's picture on its button, and of the photograph that greets.
THUMBNAIL, GREETING = 192, 720
# Files that the service worker keeps, for the page to work without a network.
KEPT = (".html", ".css", ".mjs", ".wasm", ".onnx", ".jpg", ".json")


def build_site(
    folder: Path,
    models: Mapping[str, Path],
    runtime: Path,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Write the page into ``folder``, with ``models``, checkpoints by the names they are shown by.

    ``runtime`` is ``fastnst.page.runtime.get_runtime``'s. What is there of the same content stays.
    Raises ConfigError where the folder can't be written to, CheckpointError for a broken model.
    """
    try:
        for name in ("models", "pictures", "runtime"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for file in (*STATIC.iterdir(), *runtime.iterdir()):
            below = "runtime" if file.parent == runtime else "."
            if file.is_file() and not file.name.endswith(".part"):
                shutil.copyfile(file, folder / below / file.name)
        with Image.open(DEMO) as demo:
            photo = demo.convert("RGB")
        greeting = ImageOps.contain(photo, (GREETING, GREETING))
        write_picture(greeting, folder / "pictures" / "photograph.jpg")
        small = ImageOps.fit(photo, (THUMBNAIL, THUMBNAIL), centering=(0.5, 0.4))
        styles = [_style(folder, name, path, small, tell) for name, path in models.items()]
        settings = {"version": __version__, "shortSide": SHORT_SIDE, "styles": styles}
        _put(folder / "styles.json", json.dumps(settings, indent=1).encode())
        _put(folder / "files.json", json.dumps(_listed(folder)).encode())
    except OSError as error:
        raise ConfigError(f"{folder}: can't be written to ({reason(error)})") from error


def _style(
    folder: Path, name: str, path: Path, small: Image.Image, tell: Callable[[str], None] | None
) -> dict[str, object]:
    """A style's files, and what the page is told of it."""
    found = read_mixture(read_arrays, path)
    network = found.info["network"]
    kind, options = network["kind"], network["options"]
    properties = {"fastnst.style": style_name(found.info), "fastnst.version": __version__}
    content = onnx_model(kind, options, found.weights, half=True, properties=properties)
    # Named by its content: a browser may keep it for ever.
    digest = hashlib.sha256(content).hexdigest()[:12]
    model, picture = f"models/{name}-{digest}.onnx", f"pictures/{name}-{digest}.jpg"
    if not (folder / picture).exists():
        if tell is not None:
            tell(name)
        _put(folder / model, content)
        engine = open_engine("auto", "cpu", network, found.weights, path=path)
        # Twice as large as it is shown: strokes are to be seen.
        larger = small.resize((2 * THUMBNAIL, 2 * THUMBNAIL), Image.Resampling.BICUBIC)
        import numpy as np

        stylized = Image.fromarray(engine(np.asarray(larger)))
        write_picture(stylized.resize(small.size, Image.Resampling.LANCZOS), folder / picture)
    return {"name": name, "title": title(name), "model": model, "picture": picture}


def title(name: str) -> str:
    """A style's name in words: the_scream is The scream, composition_vii Composition VII."""
    words = name.replace("_", " ").replace("-", " ").split()
    numbered = [word.upper() if set(word) <= set("ivx") and word != "i" else word for word in words]
    return " ".join([word[:1].upper() + word[1:] for word in numbered[:1]] + numbered[1:])


def _listed(folder: Path) -> list[str]:
    files = (path for path in sorted(folder.rglob("*")) if path.suffix in KEPT)
    return [path.relative_to(folder).as_posix() for path in files if path.name != "files.json"]


def _put(path: Path, content: bytes) -> None:
    with atomic_write(path) as file:
        file.write(content)
