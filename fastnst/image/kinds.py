"""What a file is that can't be read as a picture, by how it begins. No library but Python's."""

from __future__ import annotations

from fastnst.image.in_memory import PictureFile

# Bytes that are looked at: a tar archive says what it is at 257.
HEAD = 512
_ZIP = "a zip archive; unpack it and name the folder"
# Under another suffix than a clip's, and where pictures alone are taken.
CLIP = (
    "a clip, not a picture; take its frames as pictures first (fastnst apply takes a clip by its "
    "suffix, such as .mp4)"
)
_PACKED = "unpack it and name the folder"
# What a file's first bytes say.
STARTS: dict[bytes, str] = {
    b"PK\3\4": _ZIP,
    b"PK\5\6": _ZIP,
    b"\x1f\x8b": f"packed by gzip; {_PACKED}",
    b"BZh": f"packed by bzip2; {_PACKED}",
    b"\xfd7zXZ\0": f"packed by xz; {_PACKED}",
    b"\x28\xb5\x2f\xfd": f"packed by zstd; {_PACKED}",
    b"7z\xbc\xaf\x27\x1c": f"a 7z archive; {_PACKED}",
    b"Rar!\x1a\7": f"a rar archive; {_PACKED}",
    b"\0\5\x16\7": "what macOS keeps beside a file, without a picture in it",
    b"%PDF": "a PDF document; export its pages as pictures",
    b"%!PS": "a PostScript document; export it as a picture",
    b"8BPS": "a Photoshop document; export it as TIFF or PNG",
    b"\0\0\0\x0cJXL ": "JPEG XL; export it as PNG or JPEG",
    b"\xff\x0a": "JPEG XL; export it as PNG or JPEG",
    b"\0\0\0\x0cjP  ": "JPEG 2000; export it as PNG or JPEG",
    b"\x1aE\xdf\xa3": CLIP,
    b"FLV\1": CLIP,
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": CLIP,
    b"\0\0\1\xba": CLIP,
    b"\0\0\1\xb3": CLIP,
    b"version https://git-lfs": "a pointer of Git LFS instead of the file; git lfs pull fetches it",
}
# How pictures begin that are read here, WebP apart.
PICTURES = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
    *(b"P%d%c" % (number, end) for number in range(1, 7) for end in b" \t\r\n"),
)  # fmt: skip
MARKUP = {
    b"<svg": "an SVG drawing; export it as PNG",
    b"<html": "a page of the web, perhaps an error's, instead of a picture",
    b"<!doctype html": "a page of the web, perhaps an error's, instead of a picture",
}
# Brands of ISO's container (ISO/IEC 14496-12) that say what is in it.
HEIF_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
AVIF_BRANDS = frozenset((b"avif", b"avis"))
RAW_BRAND = b"crx "


def head_of(file: PictureFile) -> bytes:
    with file.open("rb") as opened:
        return opened.read(HEAD)


def brands(head: bytes) -> list[bytes]:
    """The brands of a file in ISO's container, the major one first; none of others."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[place : place + 4] for place in range(16, end, 4))]


def is_heif(head: bytes) -> bool:
    """Whether a file is a HEIF picture other than AVIF: HEIC, as iPhones take it, and the like."""
    found = set(brands(head))
    return bool(found & HEIF_BRANDS) and not found & AVIF_BRANDS


def is_picture(head: bytes) -> bool:
    """Whether a file begins as a picture does, one that fastnst reads or a raw photograph."""
    if head.startswith(PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return True
    return bool(set(brands(head)) & (HEIF_BRANDS | AVIF_BRANDS | {RAW_BRAND}))


def kind_of(head: bytes) -> str:
    """What a file is and what to do about it, or nothing where its first bytes don't say."""
    # torch.save's archive begins with the entry of its pickle.
    if head.startswith(b"PK\3\4") and b"data.pkl" in head[:HEAD]:
        return "a checkpoint, not a picture"
    for start, kind in STARTS.items():
        if head.startswith(start):
            return kind
    if head[257:262] == b"ustar":
        return f"a tar archive; {_PACKED}"
    found = brands(head)
    if found and not set(found) & (HEIF_BRANDS | AVIF_BRANDS | {RAW_BRAND}):
        return CLIP
    if (head[:4], head[8:12]) == (b"RIFF", b"AVI ") or head[:1] == head[188:189] == head[
        376:377
    ] == b"G":
        return CLIP
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, kind in MARKUP.items():
        if text.startswith(start) or (text.startswith(b"<?xml") and start in text):
            return kind
    return ""
