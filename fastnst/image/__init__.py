"""Files to pictures and back.

A picture in memory is a float tensor (B, 3, H, W), RGB, sRGB, 0..1. Between the file and the
tensor it is a Pillow image of mode RGB, upright and in sRGB.
"""

from typing import TYPE_CHECKING, Any

from fastnst.image.decode import (
    MAX_PIXELS,
    Decoded,
    read_decoded,
    read_picture,
)
from fastnst.image.encode import (
    WRITE_FORMATS,
    check_fits,
    check_output,
    check_writable_format,
    has_limit,
    srgb_profile,
    write_picture,
    written_suffix,
)
from fastnst.image.in_memory import InMemory, PictureFile
from fastnst.image.opening import (
    READ_FORMATS,
    READ_SUFFIXES,
    is_own,
    is_read,
    open_image,
    upright_size,
)
from fastnst.image.pil_images import decode_opened
from fastnst.image.resize import (
    limit_long_side,
    limited_size,
    resize,
    resize_height,
    resize_long_side,
    resize_part,
    resize_short_side,
)

if TYPE_CHECKING:
    from fastnst.image.tensors import (
        read_image,
        to_bytes_tensor,
        to_picture,
        to_tensor,
        write_image,
    )

__all__ = [
    "MAX_PIXELS",
    "READ_FORMATS",
    "READ_SUFFIXES",
    "WRITE_FORMATS",
    "Decoded",
    "InMemory",
    "PictureFile",
    "check_fits",
    "check_output",
    "check_writable_format",
    "decode_opened",
    "has_limit",
    "is_own",
    "is_read",
    "limit_long_side",
    "limited_size",
    "open_image",
    "read_decoded",
    "read_image",
    "read_picture",
    "resize",
    "resize_height",
    "resize_long_side",
    "resize_part",
    "resize_short_side",
    "srgb_profile",
    "to_bytes_tensor",
    "to_picture",
    "to_tensor",
    "upright_size",
    "write_image",
    "write_picture",
    "written_suffix",
]


def __getattr__(name: str) -> Any:
    # Those of tensors, when first asked for: importing PyTorch takes longer than most commands.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fastnst.image import tensors

    return getattr(tensors, name)
