"""Which colours AVIF, HEIC and PNG have where they say it by numbers (ITU-T H.273), not by a
profile.
"""

from __future__ import annotations

from typing import Any

from fastnst.image.in_memory import PictureFile

# Primaries in XYZ, adapted to D50, by their numbers: Display P3 and BT.2020.
PRIMARIES = {
    12: ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    9: ((0.67348, 0.27904, -0.00194), (0.16566, 0.67534, 0.02998), (0.12505, 0.04561, 0.79684)),
}
# Transfers of high dynamic range, by their numbers.
HIGH_RANGE = {16: "PQ", 18: "HLG"}
FORMATS = frozenset(("AVIF", "HEIF", "PNG"))
# How the property begins (ISO/IEC 23008-12), and the first bytes of a file, among which it lies.
PROPERTY, LOOK = b"colrnclx", 1 << 16
# Under which name the numbers lie beside an image, and under which pillow-heif and pi-heif have
# them.
KEPT, OF_HEIF = "fastnst_colours", "nclx_profile"


def numbers_of(image: Any, file: PictureFile) -> dict[str, Any]:
    """What is to lie beside a Pillow image, in its ``info``, where its file has numbers of
    primaries and transfer, and the image hasn't.
    """
    if image.format not in FORMATS or told_by_numbers(image) is not None:
        return {}
    with file.open("rb") as opened:
        head = opened.read(LOOK)
    numbers = _of_png(head) if image.format == "PNG" else _of_container(head)
    return {} if numbers is None else {KEPT: numbers}


def told_by_numbers(image: Any) -> tuple[int, int] | None:
    """The numbers that ``numbers_of`` has found, or that came with a HEIF."""
    if told := image.info.get(OF_HEIF):
        return int(told["color_primaries"]), int(told["transfer_characteristics"])
    kept: tuple[int, int] | None = image.info.get(KEPT)
    return kept


def _of_container(head: bytes) -> tuple[int, int] | None:
    place = head.find(PROPERTY) + len(PROPERTY)
    if place < len(PROPERTY) or len(head) < place + 4:
        return None
    primaries, transfer = head[place : place + 2], head[place + 2 : place + 4]
    return int.from_bytes(primaries, "big"), int.from_bytes(transfer, "big")


def _of_png(head: bytes) -> tuple[int, int] | None:
    """Those of the chunk cICP, which stands before the pixels (PNG, third edition, 11.3.2.6)."""
    place = 8
    while place + 10 <= len(head) and (kind := head[place + 4 : place + 8]) != b"IDAT":
        if kind == b"cICP":
            return head[place + 8], head[place + 9]
        place += 12 + int.from_bytes(head[place : place + 4], "big")
    return None


def high_range_told(transfer: int) -> list[str]:
    """What is told of a picture of high dynamic range; nothing of others."""
    if transfer not in HIGH_RANGE:
        return []
    return [
        f"high dynamic range ({HIGH_RANGE[transfer]}), read as standard range: its tones may be off"
    ]
