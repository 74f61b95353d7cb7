"""Interlaced frames, whose odd and even rows are of different moments, as whole ones."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame


class Deinterlacer:
    """Frames through FFmpeg's bwdif from the first interlaced one on; others pass as they are.

    One frame comes of one, with its time in ``time_base``.
    """

    def __init__(self, time_base: Fraction) -> None:
        self.time_base = time_base
        self._graph: Graph | None = None

    @property
    def used(self) -> bool:
        """Whether there were interlaced frames."""
        return self._graph is not None

    def __call__(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """The frames that are ready once this one is in; None is the end."""
        if self._graph is None and frame is not None and frame.interlaced_frame:
            self._graph = self._made(frame)
        if self._graph is None:
            if frame is not None:
                yield frame
            return
        self._graph.vpush(frame)
        while True:
            try:
                ready = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            if ready.pts is not None and ready.time_base is not None:
                ready.pts = round(ready.pts * ready.time_base / self.time_base)
                ready.time_base = self.time_base
            yield ready

    def _made(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=self.time_base
        )
        # Frames that are whole already are left as they are.
        whole = graph.add("bwdif", "mode=send_frame:deint=interlaced")
        graph.link_nodes(source, whole, graph.add("buffersink")).configure()
        return graph
