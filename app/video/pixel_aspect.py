"""The pixel aspect of each frame: the width of a pixel divided by its height, as it is shown."""

from fractions import Fraction
from typing import Final

from av.packet import Packet
from av.video.stream import VideoStream

SQUARE: Final = Fraction(1)
_WIDEST: Final = 16
"""An aspect above this, or below its reciprocal, is an error in the file: no face could be made out
at that aspect. The anamorphic formats in use have 1/2 to 2."""


def plausible_aspect(width: float, height: float) -> Fraction:
    """Return ``width / height`` of a pixel, or 1 if it is unknown or absurd.

    >>> plausible_aspect(4, 3), plausible_aspect(0, 1), plausible_aspect(1, 500)
    (Fraction(4, 3), Fraction(1, 1), Fraction(1, 1))
    """
    if not (width > 0 and height > 0 and 1 / _WIDEST <= width / height <= _WIDEST):
        return SQUARE
    return Fraction(width / height).limit_denominator(1000)


class PixelAspects:
    """Finds the pixel aspect of each decoded frame, also where it changes in the stream.

    The aspect in the container is the valid one, as in players. Without one, or where both agree at
    the first frame, the decoder's is used. A decoder that reorders frames reports a change early,
    while it still hands out frames from before it; so it is applied from the next key frame on.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._context = stream.codec_context
        self._container = _aspect(stream.sample_aspect_ratio)
        self._keys: list[int] = []
        self._coded: Fraction | None = None
        self._next: tuple[int, Fraction] | None = None
        self._follows_decoder = True

    def add_packet(self, packet: "Packet[VideoStream]") -> None:
        """Record a packet before it is decoded."""
        if packet.is_keyframe and packet.pts is not None:
            self._keys.append(packet.pts)

    def of(self, pts: int) -> Fraction:
        """Return the aspect of the frame at ``pts``, right after it was decoded."""
        newest = _aspect(self._context.sample_aspect_ratio)
        if self._coded is None:
            self._coded = newest
            self._follows_decoder = self._container in {newest, SQUARE}
        if not self._follows_decoder:
            return self._container
        self._keys = [key for key in self._keys if key > pts]
        if self._next is None and newest != self._coded:
            later = self._keys if self._context.has_b_frames else []
            self._next = (min(later, default=pts), newest)
        if self._next is not None and pts >= self._next[0]:
            self._coded, self._next = self._next[1], None
        return self._coded


def _aspect(ratio: Fraction | None) -> Fraction:
    return SQUARE if not ratio else plausible_aspect(ratio.numerator, ratio.denominator)
