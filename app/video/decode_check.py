"""Checks that every picture that went into a decoder comes out of it, in order."""

import heapq

import av
from av.video.stream import VideoStream

from app.errors import MediaError
from app.types import MediaFile

ONE_TO_ONE = frozenset({"h264", "hevc", "vvc", "vp9", "av1", "libdav1d", "prores", "dnxhd", "ffv1"})
"""Decoders that make one picture of each packet. (MPEG-4 part 2 and VP8 may make none.)"""


class Ledger:
    """Presentation times of packets, crossed off by those of frames.

    A decoder that meets damage may drop a picture without a word, and the binding swallows an
    error that comes together with a frame. Then the number of every later frame would differ
    from what a plan says, so a missing picture is an error.
    """

    def __init__(self, path: MediaFile, codec: str) -> None:
        self._path = path
        self._one_to_one = codec in ONE_TO_ONE
        self._waiting: list[tuple[int, bool]] = []
        self._first: int | None = None
        self._last: int | None = None
        self._interlaced = False

    def sent(self, packet: "av.Packet[VideoStream]") -> None:
        """A packet was given to the decoder."""
        if packet.is_corrupt:
            raise MediaError(f"{self._path}: incomplete data in its video; copy it again")
        if self._one_to_one and packet.pts is not None and not packet.is_discard:
            heapq.heappush(self._waiting, (packet.pts, packet.is_keyframe))

    def shown(self, frame: av.VideoFrame, pts: int) -> None:
        """A frame came out, the next one in presentation order."""
        if self._last is not None and pts <= self._last:
            raise MediaError(
                f"{self._path}: times of its frames do not increase at {pts}; convert it first"
            )
        self._last = pts
        if self._first is None:
            self._first = pts
        self._interlaced |= frame.interlaced_frame
        self._cross_off(pts)

    def finish(self) -> None:
        """The decoder is empty."""
        if self._last is not None:
            self._cross_off(None)

    def _cross_off(self, pts: int | None) -> None:
        """Forget packets up to ``pts`` (None: all); one that made no frame is an error.

        Pictures before the first one are left out by every player when they refer to pictures
        that are not in the file. The second field of an interlaced frame may be a packet.
        """
        while self._waiting and (pts is None or self._waiting[0][0] <= pts):
            time, is_key = heapq.heappop(self._waiting)
            leading = self._first is not None and time < self._first and not is_key
            if time != pts and not leading and not self._interlaced:
                raise MediaError(
                    f"{self._path}: the frame at {time} cannot be decoded; repair the file"
                )
