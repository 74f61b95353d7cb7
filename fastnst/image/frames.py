"""Whether a file holds more pictures than the one that is read."""

from __future__ import annotations

import contextlib
from typing import Any

from PIL import Image

from fastnst.image.in_memory import PictureFile, for_pillow

# Pages of a TIFF that are counted at most: each takes its time, and a file may name any number.
MAX_PAGES = 1000
# Tags that say what a page is to the others, and what they say.
NEW_SUBFILE, SUBFILE = 254, 255
THUMBNAIL, MASK = 1, 4
# How Pillow names those parts of a JPEG of several pictures (CIPA DC-007) that are pictures of
# their own. Others are attached to one: a preview, what makes it HDR, a map of depths.
OF_THEIR_OWN = "Multi-Frame Image"


def other_frames(file: PictureFile, image: Image.Image) -> list[str]:
    """That there are more frames than the first, where there are."""
    if image.format == "TIFF":
        frames = _pages(file)
    elif image.format == "MPO":
        frames = _frames_of_mpo(image)
    else:
        frames = int(getattr(image, "n_frames", 1))
    many = image.format == "TIFF" and frames > MAX_PAGES
    counted = f"more than {MAX_PAGES}" if many else str(frames)
    return [f"first of {counted} frames"] if frames > 1 else []


def _pages(file: PictureFile) -> int:
    """The pages of a TIFF that are pictures of their own, one too many at most."""
    pages = 0
    opened = for_pillow(file)
    # What Pillow raises after the last page, or for one that is broken.
    with contextlib.suppress(Exception), Image.open(opened, formats=("TIFF",)) as image:
        for page in range(MAX_PAGES + 1):
            image.seek(page)
            pages += not _is_aside(image)
    return max(1, pages)


def seek_picture(image: Any) -> None:
    """Have a TIFF stand at the first page that is a picture of its own: some begin with a thumbnail
    of it. Where each is marked as none, or a page is broken, it is the first page.
    """
    if not _is_aside(image):
        return
    try:
        for page in range(1, MAX_PAGES + 1):
            image.seek(page)
            if not _is_aside(image):
                return
    except Exception:  # What Pillow raises for a broken page, or after the last.
        image.seek(0)


def _is_aside(image: Any) -> bool:
    """Whether a page is marked as another one's thumbnail, or its mask (TIFF 6.0: NewSubfileType,
    and SubfileType, which came before it).
    """
    tags = image.tag_v2
    with contextlib.suppress(TypeError, ValueError):
        return bool(int(tags.get(NEW_SUBFILE, 0)) & (THUMBNAIL | MASK)) or tags.get(SUBFILE) == 2
    return False


def _frames_of_mpo(image: Image.Image) -> int:
    told = getattr(image, "mpinfo", None) or {}
    # The first is a frame whatever it is called.
    others = [entry["Attribute"]["MPType"] for entry in told.get(0xB002, ())][1:]
    return 1 + sum(str(kind).startswith(OF_THEIR_OWN) for kind in others)
