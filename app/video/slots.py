"""Times of frames in containers that store only the order in which packets are decoded."""

from collections import deque

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

_DECODING_TIMES = frozenset({"avi", "asf"})
"""Demuxers whose packets have decoding times: those of AVI are numbers of slots. The library
guesses presentation times, wrongly if frames are reordered."""


def has_slots(container: InputContainer, stream: VideoStream) -> bool:
    """Whether the container stores decoding times only.

    Matroska does so in its mode of compatibility with AVI, in which codecs have a tag.
    """
    name = container.format.name
    if name.startswith("matroska"):
        return stream.codec_context.codec_tag.strip("\0") != ""
    return name in _DECODING_TIMES


class Slots:
    """Gives the frames of a decoder, which come in presentation order, the times of the packets.

    The n-th frame gets the n-th time. A packet that makes no frame (a placeholder of MPEG-4, which
    stands for "as before") has none either; its time stays empty.

    Args:
        one_to_one: whether the decoder makes one frame of each packet. Then a packet without a
            frame only makes the next frames later.
    """

    def __init__(self, *, one_to_one: bool) -> None:
        self._one_to_one = one_to_one
        self._times: deque[int] = deque()
        self._has_begun = False

    def add(self, packet: "Packet[VideoStream]") -> int | None:
        """Record a packet that is sent to the decoder; return its time."""
        time = packet.dts if packet.dts is not None else packet.pts
        if time is not None:
            self._times.append(time)
        return time

    def close(self, frames: int) -> None:
        """Record how many frames came out of the decoder for the last packet."""
        if not frames and self._has_begun and not self._one_to_one and self._times:
            self._times.pop()
        self._has_begun |= frames > 0

    def next(self) -> int | None:
        """Return the time of the next frame, None if there are more frames than packets."""
        return self._times.popleft() if self._times else None
