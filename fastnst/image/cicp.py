"""Which colours AVIF and HEIC have where they say it by numbers (ITU-T H.273), not by a profile."""

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
FORMATS = frozenset(("AVIF", "HEIF"))
# How the property begins (ISO/IEC 23008-12), and the first bytes of a file, among which it lies.
PROPERTY, LOOK = b"colrnclx", 1 << 16
KEPT = "fastnst_colours"


def keep_numbers(image: Any, file: PictureFile) -> None:
    """Put the numbers of primaries and transfer beside a Pillow image, where its file has them."""
    if image.format not in FORMATS:
        return
    with file.open("rb") as opened:
        head = opened.read(LOOK)
    place = head.find(PROPERTY) + len(PROPERTY)
    if place < len(PROPERTY) or len(head) < place + 4:
        return
    primaries, transfer = head[place : place + 2], head[place + 2 : place + 4]
    image.info[KEPT] = int.from_bytes(primaries, "big"), int.from_bytes(transfer, "big")


def told_by_numbers(image: Any) -> tuple[int, int] | None:
    """The numbers that ``keep_numbers`` has kept."""
    kept: tuple[int, int] | None = image.info.get(KEPT)
    return kept


def high_range_told(transfer: int) -> list[str]:
    """What is told of a picture of high dynamic range; nothing of others."""
    if transfer not in HIGH_RANGE:
        return []
    return [
        f"high dynamic range ({HIGH_RANGE[transfer]}), read as standard range: its tones may be off"
    ]
