"""What tests of all rooms need: small pictures and checkpoints, commands and what they say."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fastnst.checkpoint.contents import load_checkpoint, save_checkpoint
from fastnst.checkpoint.description import FORMAT_VERSION, KEY, PREFIX
from fastnst.cli import main
from fastnst.networks.modules import TransferNetwork, build_network, with_skip

ROOT = Path(__file__).resolve().parents[1]
CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
THREADS = 8
SAMPLES = Path(__file__).parent / "samples"


def make_picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth colourful picture with some edges."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    picture.paste((200, 30, 60), (0, 0, width // 3, height // 3))
    return picture


def make_photos(folder: Path) -> Path:
    """A folder of 16 small photographs, some in a folder below."""
    photos = folder / "photos"
    (photos / "more").mkdir(parents=True)
    for i in range(16):
        place = photos if i % 2 else photos / "more"
        make_picture(60 + i, 50 + 2 * i, i).save(place / f"photo{i:02}.jpg")
    return photos


def make_style(folder: Path) -> Path:
    path = folder / "paint.png"
    make_picture(80, 64, 99).save(path)
    return path


# The loss of a few layers: in a tiny run the deep ones take half of a step.
SHALLOW = ("--style-layers", "rgb", "relu1_1", "relu2_1")


def tiny_arguments(photos: Path, style: Path, folder: Path) -> list[str]:
    """Arguments of a training run of a second."""
    return [
        "train", "--style", str(style), "--data", str(photos), "--backbone", "embedded",
        "--image-size", "32", "--style-size", "48", "--batch-size", "2",
        "--log-dir", str(folder / "runs"), "--device", "cpu", "--precision", "float32",
        "--validation-photos", "0", "--init", "none",
    ]  # fmt: skip


def with_skip_weights(network: TransferNetwork) -> TransferNetwork:
    """The network with a skip that adds something, as a trained one's does; others as they are."""
    with torch.no_grad():
        for name, value in network.named_parameters():
            if ".skip." in name:
                value.uniform_(-0.5, 0.5)
    return network


def contents(kind: str = "fast", **more: int) -> dict[str, Any]:
    """A small valid checkpoint of a network of random weights, with ``more`` options."""
    options = {"width": 4, "blocks": 1, **more}
    network = with_skip_weights(build_network(kind, options))
    return {
        "state_dict": {f"network.{name}": value for name, value in network.state_dict().items()},
        KEY: {
            "format_version": FORMAT_VERSION,
            "network": {"kind": kind, "options": options},
            "style": [{"name": "paint", "sha256": "0", "width": 8, "height": 8, "weight": 1.0}],
            "loss": {},
            "backbone": {"name": "embedded", "origin": ""},
            "data": {},
            "training": {"steps": 7},
            "losses": {},
            "versions": {},
        },
    }


def make_model(folder: Path) -> Path:
    """A small untrained network's checkpoint, the same at any time."""
    torch.manual_seed(0)
    path = folder / "paint.ckpt"
    save_checkpoint(contents(), path)
    return path


def with_a_skip(model: Path, path: Path, size: float) -> Path:
    """A checkpoint on a network with a skip whose weights are up to ``size``, in ``path``."""
    earlier = load_checkpoint(model)
    network = with_skip(earlier.network())
    for parameter in network.body.skip.parameters():
        torch.nn.init.uniform_(parameter, -size, size)
    state = {f"{PREFIX}{name}": value for name, value in network.state_dict().items()}
    described = {**earlier.info, "network": {"kind": "fast", "options": network.options}}
    save_checkpoint({**earlier.contents, KEY: described, "state_dict": state}, path)
    return path


def encoded(picture: Image.Image, format: str, **options: Any) -> bytes:
    """A picture as a file's content."""
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


class Canary:
    """Unpickled without care, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def one_line(capsys) -> str:
    told = capsys.readouterr().err
    assert told.count("\n") == 1, told
    assert told.startswith("fastnst: error: ")
    assert "Traceback" not in told
    return told


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


def modules_after(*arguments: str) -> tuple[set[str], float]:
    """Modules that a child process has loaded after ``fastnst ARGUMENTS``, and its seconds."""
    program = (
        "import sys\nfrom fastnst.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    started = time.perf_counter()
    child = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return set(child.stderr.splitlines()), time.perf_counter() - started


def validate(model: Path, photos: Path, folder: Path, *more: str) -> int:
    return main([
        "validate", str(model), "--data", str(photos), "--sizes", "32,48", "--iterations", "8",
        "--device", "cpu", "--output", str(folder), *more,
    ])  # fmt: skip


def together(work: Callable[[int], object], threads: int = THREADS) -> list[object]:
    """What ``work`` gives in so many threads that all begin at once."""
    start = threading.Barrier(threads)

    def begin(number: int) -> object:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))
