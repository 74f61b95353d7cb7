"""The folder of finished parts beside a clip's target, from which a run that ended goes on."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
from av.packet import Packet

from fastnst.errors import ClipWriteError
from fastnst.machine.files import atomic_write
from fastnst.video.colour import Colours
from fastnst.video.encode import Look
from fastnst.video.smooth import State

# What comes after the target's name in that of the folder, of which the results' folder may hold
# many: by their suffixes none of these files is a clip.
FOLDER = ".fastnst-parts"
SETTINGS = "settings.json"
# Of a packet: pts, dts, duration, its time base (two), whether it is a key frame, bytes.
PACKET = struct.Struct("<qqqqq?q")


@dataclass(frozen=True)
class Head:
    """The first line of a part: what the encoder was told, and what it says of itself."""

    look: Look
    extradata: bytes

    def line(self) -> bytes:
        """As JSON."""
        told: dict[str, Any] = asdict(self)
        told["extradata"] = self.extradata.hex()
        told["look"]["aspect"] = None if self.look.aspect is None else str(self.look.aspect)
        return json.dumps(told).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> Head:
        """That of a line."""
        told = json.loads(line)
        look = told["look"]
        colours, aspect = Colours(**look["colours"]), look["aspect"]
        aspect = None if aspect is None else Fraction(aspect)
        return cls(
            Look(look["width"], look["height"], colours, aspect), bytes.fromhex(told["extradata"])
        )


class Parts:
    """The folder for a target; ``settings`` are all that its frames depend on, by option.

    Parts are files of packets, numbered from 0, each whole or not there. Beside the last lies the
    smoother's state after it. Raises ClipWriteError where the folder's are of other settings;
    OSError.
    """

    def __init__(self, target: Path, settings: Mapping[str, str]) -> None:
        self.folder = target.with_name(target.name + FOLDER)
        self._settle(dict(settings))
        self.count = 0
        while self._part(self.count).exists():
            self.count += 1

    def last(self) -> int | None:
        """The pts of the last frame that is finished."""
        if not self.count:
            return None
        with self._opened(self.count - 1) as (_, file):
            return max(int(packet[0]) for packet in _packets(file, skip=True))

    def state(self) -> State:
        """The smoother's after it."""
        file = self._state(self.count)
        if not file.exists():
            return State()
        with self._whole(file), open(file, "rb") as raw, np.load(raw, allow_pickle=False) as arrays:
            return State(arrays["photo"], arrays["shown"])

    @contextlib.contextmanager
    def writing(self, head: Head) -> Iterator[BinaryIO]:
        """A file for ``write_packets`` that becomes the next part at the block's end."""
        with atomic_write(self._part(self.count)) as file:
            file.write(head.line())
            yield file
        self._state(self.count).unlink(missing_ok=True)
        self.count += 1

    def keep_state(self, state: State) -> None:
        """Keep the smoother's after the part that is being written."""
        if state.photo is not None and state.shown is not None:
            with atomic_write(self._state(self.count + 1)) as file:
                np.savez(file, photo=state.photo, shown=state.shown)

    def head(self) -> Head:
        """Of all parts. Raises ClipWriteError where they are of several encoders."""
        heads = []
        for number in range(self.count):
            with self._opened(number) as (head, _):
                heads.append(head)
        if any(head != heads[0] for head in heads):
            raise ClipWriteError(
                f"{self.folder}: its parts don't go together; delete it to begin anew"
            )
        return heads[0]

    def packets(self) -> Iterator[Packet[Any]]:
        """The packets of all parts, in order."""
        last: int | None = None
        for number in range(self.count):
            with self._opened(number) as (_, file):
                for pts, dts, duration, up, down, key, content in _packets(file):
                    packet: Packet[Any] = Packet(content)
                    # Where the rate varies an encoder may begin before the last one's end.
                    dts = dts if last is None else max(dts, last + 1)
                    last = dts
                    packet.pts, packet.dts, packet.duration = pts, dts, duration
                    packet.time_base, packet.is_keyframe = Fraction(up, down), key
                    yield packet

    def remove(self) -> None:
        """Delete the folder, but not what isn't of it."""
        for pattern in ("*.part", "*.shown", SETTINGS):
            for file in self.folder.glob(pattern):
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _settle(self, settings: dict[str, str]) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise ClipWriteError(f"{self.folder}: is in the way of the folder for parts")
        self.folder.mkdir(exist_ok=True)
        file = self.folder / SETTINGS
        if not file.exists():
            with atomic_write(file) as written:
                written.write(json.dumps(settings, indent=1).encode() + b"\n")
            return
        with self._whole(file):
            before = {
                str(name): str(value) for name, value in json.loads(file.read_bytes()).items()
            }
        for name in sorted({*before, *settings}):
            old, new = before.get(name, "none"), settings.get(name, "none")
            if old != new:
                raise ClipWriteError(
                    f"{self.folder}: holds parts of {name} {old}, and now it is {new}; give the "
                    "former again, or delete the folder to begin anew"
                )

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06}.part"

    def _state(self, count: int) -> Path:
        return self.folder / f"{count:06}.shown"

    @contextlib.contextmanager
    def _opened(self, number: int) -> Iterator[tuple[Head, BinaryIO]]:
        part = self._part(number)
        with self._whole(part), open(part, "rb") as file:
            yield Head.of(file.readline()), file

    @contextlib.contextmanager
    def _whole(self, file: Path) -> Iterator[None]:
        """Raises ClipWriteError for what comes of a file that a disk has damaged."""
        try:
            yield
        except (
            ValueError, KeyError, TypeError, AttributeError, EOFError, struct.error, BadZipFile,
        ) as error:  # fmt: skip
            raise ClipWriteError(
                f"{file}: damaged; delete the folder {self.folder.name} to begin anew"
            ) from error


def write_packets(file: BinaryIO, packets: Sequence[Packet[Any]]) -> None:
    """Add an encoder's packets to a part."""
    for packet in packets:
        base = packet.time_base
        content = bytes(packet)
        file.write(
            PACKET.pack(
                packet.pts, packet.dts, packet.duration or 0, base.numerator, base.denominator,
                packet.is_keyframe, len(content),
            )
        )  # fmt: skip
        file.write(content)


def _packets(file: BinaryIO, skip: bool = False) -> Iterator[tuple[Any, ...]]:
    """What ``write_packets`` has written; empty ones with ``skip``."""
    while head := file.read(PACKET.size):
        *told, size = PACKET.unpack(head)
        if skip:
            file.seek(size, 1)
        content = b"" if skip else file.read(size)
        if len(content) != size and not skip:
            raise ValueError("cut short")
        yield *told, content
