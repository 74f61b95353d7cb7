"""Going to a time of a clip, also where its file has no index."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import av

from fastnst.video.probe import MICROSECONDS, Clip

# Seconds to go back by until there is a key frame before the time that is sought: FFmpeg goes into
# streams without an index anywhere.
BACK = (0, 2, 8, 32, 128)


def seek(clip: Clip, time: Fraction) -> None:
    """Go to where the frame of a time of the clip's own clock can be decoded from; the
    beginning, where that can't be found.
    """
    # FFmpeg finds the first frame of a transport stream only from before it.
    first = clip.begins - 1
    for back in BACK:
        place = max(time - back, first)
        if _goes_to(clip, place) and _has_key_by(clip, time) and _goes_to(clip, place):
            return
    if not _goes_to(clip, first):
        _goes_to(clip, clip.begins)


def _goes_to(clip: Clip, place: Fraction) -> bool:
    with contextlib.suppress(av.FFmpegError):
        clip.container.seek(int(place * MICROSECONDS))
        return True
    return False


def _has_key_by(clip: Clip, time: Fraction) -> bool:
    """Whether the next key frame is one of a time or before."""
    with contextlib.suppress(av.FFmpegError):
        for packet in clip.container.demux(clip.picture):
            if packet.is_keyframe and packet.pts is not None:
                return packet.pts * packet.time_base <= time
    return False
