"""The page's styles: each one's model as an ONNX file, a thumbnail and a name in words."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fastnst import __version__
from fastnst.checkpoint.description import style_name
from fastnst.checkpoint.numpy_reader import read_arrays
from fastnst.checkpoint.shipped import shipped_models
from fastnst.errors import CheckpointError, ConfigError, FastnstError
from fastnst.export.onnx_graph import described, is_half, onnx_model
from fastnst.export.verify import onnx_runtime
from fastnst.machine.cache import cache_folder
from fastnst.machine.files import atomic_write, reason
from fastnst.machine.notify import Notify, silent

# The photograph that shows what a style does.
DEMO = Path(__file__).parents[1] / "demo" / "cat.jpg"
# Sides of a thumbnail in pixels: what a screen of two pixels a point shows well.
THUMBNAIL = 200
QUALITY = 85
# Whose paintings the shipped styles learned (checkpoints/README.md), with soft hyphens in long
# words.
PAINTINGS = {
    "chrysanthemums": ("Chrysan\u00adthemums", "Claude Monet"),
    "composition_vii": ("Compo\u00adsition VII", "Wassily Kandinsky"),
    "early_morning_in_ro": ("Early Morning in Ro…", "Paul Klee"),
    "improvisation_deluge": ("Improvi\u00adsation Deluge", "Wassily Kandinsky"),
    "irises": ("Irises", "Vincent van Gogh"),
    "shipwreck": ("The Shipwreck", "J. M. W. Turner"),
    "starry_night": ("The Starry Night", "Vincent van Gogh"),
    "the_kiss": ("The Kiss", "Gustav Klimt"),
    "the_red_tree": ("The Red Tree", "Piet Mondrian"),
    "the_scream": ("The Scream", "Edvard Munch"),
    "the_sun": ("The Sun", "Edvard Munch"),
    "tree_of_life": ("Tree of Life", "Gustav Klimt"),
    "udnie": ("Udnie", "Francis Picabia"),
    "wave": ("The Great Wave", "Katsushika Hokusai"),
    "wheatfield_with_crows": ("Wheatfield with Crows", "Vincent van Gogh"),
}
# The style that the page opens with.
FIRST = "wave"


@dataclass(frozen=True)
class Style:
    """A style of the page: ``model`` is an ONNX file's content; ``thumbnail`` a JPEG of the demo
    photograph, square, ``demo`` one of it whole, where it is the page's first.
    """

    name: str
    title: str
    painter: str
    model: bytes
    thumbnail: bytes
    demo: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the model, in hexadecimal."""
        return hashlib.sha256(self.model).hexdigest()


def page_styles(folder: Path | None = None, notify: Notify = silent) -> list[Style]:
    """The shipped styles, ``FIRST`` first, and before them those of a folder's .ckpt and .onnx.

    ``notify`` gets a line of each of the folder's files that is left out. Raises ConfigError where
    there is no such folder.
    """
    shipped = shipped_models()
    order = sorted(shipped, key=lambda name: (name != FIRST, name))
    own = [] if folder is None else _own(folder)
    found = list(_readable(own, notify))
    found += [_shipped(name, shipped[name]) for name in order]
    if not found:
        raise CheckpointError("no styles come with this installation of fastnst")
    return found


def _own(folder: Path) -> list[Path]:
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"--models {folder}: {reason(error)}") from error
    return [file for file in files if file.suffix in (".ckpt", ".onnx")]


def _readable(files: list[Path], notify: Notify) -> Iterator[Style]:
    for file in files:
        try:
            if file.suffix == ".onnx":
                model = file.read_bytes()
                name = file.stem
            else:
                model, name = _exported(file)
            yield _style(name, name.replace("_", " "), "", model)
        except FastnstError as error:
            named = str(file) in str(error)
            notify(f"left out: {error}" if named else f"left out: {file}: {error}")
        except OSError as error:
            notify(f"left out: {file}: {reason(error)}")
        # ONNX Runtime's errors have no common class; a file that is a stranger's may raise any.
        except Exception as error:
            notify(f"left out: {file}: no model of fastnst export ({type(error).__name__})")


def _shipped(name: str, path: Path) -> Style:
    title, painter = PAINTINGS.get(name, (name.replace("_", " "), ""))
    return _style(name, title, painter, _exported(path)[0])


def _exported(path: Path) -> tuple[bytes, str]:
    """A checkpoint as an ONNX file, its kernels in float16 where that loses nothing; its style."""
    part = read_arrays(path)
    network = part.info["network"]
    name = style_name(part.info)
    properties = {
        "fastnst.version": __version__,
        "fastnst.style": name,
        "fastnst.network": described(network["kind"], network["options"]),
    }
    kind = network["kind"], network["options"]
    return onnx_model(*kind, part.weights, "uint8-hwc", is_half(part.weights), properties), name


def _style(name: str, title: str, painter: str, model: bytes) -> Style:
    key = hashlib.sha256(model + DEMO.read_bytes() + bytes([THUMBNAIL, QUALITY])).hexdigest()[:16]
    files = [cache_folder() / "page" / f"{key}-{part}.jpg" for part in ("thumbnail", "demo")]
    try:
        thumbnail, demo = (file.read_bytes() for file in files)
    except OSError:
        thumbnail, demo = _pictures(model)
        _keep(dict(zip(files, (thumbnail, demo), strict=True)))
    return Style(name, title, painter, model, thumbnail, demo)


def _keep(contents: dict[Path, bytes]) -> None:
    try:
        for file, content in contents.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(file) as opened:
                opened.write(content)
    except OSError:
        # They are made anew each time then.
        return


def _pictures(model: bytes) -> tuple[bytes, bytes]:
    """The demo photograph stylized, as JPEGs: its middle at the thumbnail's size, and the whole."""
    with Image.open(DEMO) as opened:
        photo = opened.convert("RGB")
    side = min(photo.size)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    square = photo.crop((left, top, left + side, top + side)).resize((THUMBNAIL,) * 2)
    run = _on_bytes(model)
    return tuple(_jpeg(run(np.asarray(picture))) for picture in (square, photo))  # type: ignore[return-value]


def _on_bytes(model: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """An ONNX file of either io as a function on bytes (H, W, 3)."""
    run = onnx_runtime(model)
    import onnx

    properties = {p.key: p.value for p in onnx.load_from_string(model).metadata_props}
    if properties.get("fastnst.io") == "uint8-hwc":
        return run
    if properties.get("fastnst.io") != "float-nchw":
        raise ConfigError("a model file that fastnst export did not write")

    def through(pixels: np.ndarray) -> np.ndarray:
        picture = (pixels.transpose(2, 0, 1)[None] / np.float32(255)).astype(np.float32)
        levels: np.ndarray = np.rint(run(picture)[0].transpose(1, 2, 0) * 255).astype(np.uint8)
        return levels

    return through


def _jpeg(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def listing(styles: list[Style], places: list[tuple[str, str]]) -> bytes:
    """``styles.json``; ``places`` are each one's model and thumbnail."""
    rows = [
        {
            "name": style.name, "title": style.title, "painter": style.painter, "file": model,
            "sha256": style.digest, "bytes": len(style.model), "thumbnail": thumbnail,
        }
        for style, (model, thumbnail) in zip(styles, places, strict=True)
    ]  # fmt: skip
    return json.dumps({"version": __version__, "styles": rows}, indent=1).encode()
