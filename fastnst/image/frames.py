"""Whether a file holds more pictures than the one that is read."""

from __future__ import annotations

import contextlib

from PIL import Image

from fastnst.image.in_memory import PictureFile, for_pillow

# Pages of a TIFF that are counted at most: each takes its time, and a file may name any number.
MAX_PAGES = 1000
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
    """The pages of a TIFF, one too many at most."""
    pages = 1
    opened = for_pillow(file)
    with contextlib.suppress(EOFError, OSError), Image.open(opened, formats=("TIFF",)) as image:
        while pages <= MAX_PAGES:
            image.seek(pages)
            pages += 1
    return pages


def _frames_of_mpo(image: Image.Image) -> int:
    told = getattr(image, "mpinfo", None) or {}
    # The first is a frame whatever it is called.
    others = [entry["Attribute"]["MPType"] for entry in told.get(0xB002, ())][1:]
    return 1 + sum(str(kind).startswith(OF_THEIR_OWN) for kind in others)
