"""Files to pictures and back.

A picture in memory is a float tensor (B, 3, H, W), RGB, sRGB, 0..1. Between the file and the
tensor it is a Pillow image of mode RGB, upright and in sRGB.
"""

from fastnst.image.decode import (
    MAX_PIXELS,
    READ_FORMATS,
    READ_SUFFIXES,
    Decoded,
    read_decoded,
    read_picture,
)
from fastnst.image.encode import (
    WRITE_FORMATS,
    check_output,
    check_writable_format,
    srgb_profile,
    write_picture,
)
from fastnst.image.tensors import (
    limit_long_side,
    read_image,
    resize,
    resize_height,
    resize_long_side,
    resize_short_side,
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
    "check_output",
    "check_writable_format",
    "limit_long_side",
    "read_decoded",
    "read_image",
    "read_picture",
    "resize",
    "resize_height",
    "resize_long_side",
    "resize_short_side",
    "srgb_profile",
    "to_bytes_tensor",
    "to_picture",
    "to_tensor",
    "write_image",
    "write_picture",
]
