"""Style images, as museums and painters publish them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from fastnst.image import read_decoded
from fastnst.machine.notify import Notify, silent

# Short side in pixels, at the least, that a painting too large to be read whole is decoded to: more
# than any use of it has.
LARGE_TO = 1024


def read_painting(path: Path, least: int = 0, notify: Notify = silent) -> Image.Image:
    """A style image, mode RGB. Of a JPEG of more pixels than are read as many as are needed for a
    short side of ``least``, which its decoder can give.

    ``notify`` gets what its file holds besides: further frames, transparency. Raises
    ImageReadError.
    """
    decoded = read_decoded(path, large_to=max(2 * least, LARGE_TO))
    news = list(decoded.news)
    if decoded.alpha is not None:
        news.append("its transparent parts are read as white, which becomes a part of the style")
    if news:
        notify(f"{path}: {'; '.join(news)}")
    return decoded.picture
