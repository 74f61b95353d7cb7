"""Sound coded anew, without loss, for where a container can't hold it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

# The codec, which Matroska holds, and its samples: what needs it is old, and has no more bits.
CODEC, SAMPLES = "flac", "s16"


class SoundAnew:
    """A stream of ``container`` that takes the packets of a clip's ``source``, and has its times.

    A packet that can't be decoded is passed over, as players do.
    """

    def __init__(self, container: OutputContainer, source: Stream) -> None:
        decoder: Any = source.codec_context
        rate, layout = decoder.rate, decoder.layout.name
        added: Any = container.add_stream(CODEC, rate=rate)
        self._decoder, self._stream = decoder, added
        self._stream.layout, self._stream.format = layout, SAMPLES
        self._stream.metadata.update(source.metadata)
        self._stream.disposition = source.disposition
        self._resampler = AudioResampler(SAMPLES, layout, rate)
        self._end: int | None = None

    def packets(self, packet: Packet[Any] | None) -> Iterator[Packet[Any]]:
        """What is ready once a packet is in; None is the end."""
        try:
            frames = self._decoder.decode(packet)
        except av.error.InvalidDataError:
            return
        for frame in frames:
            for part in self._resampler.resample(frame):
                yield from self._timed(self._stream.encode(part))
        if packet is None:
            for rest in [*self._resampler.resample(None), None]:
                yield from self._timed(self._stream.encode(rest))

    def _timed(self, packets: list[Packet[Any]]) -> Iterator[Packet[Any]]:
        for packet in packets:
            # The last has none, and rounded times of a clip's packets may lie in one another.
            if self._end is not None and (packet.pts is None or packet.pts < self._end):
                packet.pts = packet.dts = self._end
            if packet.pts is not None:
                self._end = packet.pts + (packet.duration or 0)
                yield packet
