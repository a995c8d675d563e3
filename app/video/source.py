"""Frames of a video, in presentation order."""

import itertools
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from app.errors import MediaError
from app.types import MediaInfo, Stretch
from app.video.decoding import decoded, prepared
from app.video.frame import Converters, DecodedFrame
from app.video.header import header_of
from app.video.media import Media
from app.video.orientation import Matrix
from app.video.pixel_aspect import PixelAspects
from app.video.prefetch import run_ahead
from app.video.smart.gops import GopScan
from app.video.window import bounds_of, windowed_frames

_AHEAD_FRAMES = 4
"""Frames decoded ahead: the threads of the decoder hold more. With 8, neither pass is faster."""
_AHEAD_BYTES = 64 << 20
"""Memory for frames decoded ahead: four frames of 2160 lines with 10 bits take more."""
_Picture = tuple[av.VideoFrame, Fraction]
"""A decoded frame, and its pixel aspect."""


class VideoSource:
    """The frames of a video; implements the contract ``PartialSource``.

    Frames that an edit list hides are not shown. Damage is never skipped: a frame that is missing,
    incomplete or concealed is an error, and so is a file that is shorter than its container says.

    Args:
        media: the video.
        threads: of the decoder; default: the CPUs that this process may use.
        quantisers: whether frames know their quantisers.

    Raises:
        MediaError: the file is damaged, or its first frame cannot be decoded.
        UnsupportedMedia: it has no video that can be decoded and shown.
    """

    def __init__(
        self, media: Media, *, threads: int | None = None, quantisers: bool = True
    ) -> None:
        self._media, self._quantisers = media, quantisers
        self._threads = threads if threads is not None else len(os.sched_getaffinity(0))
        header = header_of(media)
        self._format = header.frame_format
        self.info: MediaInfo = header.info

    @property
    def matrix(self) -> Matrix | None:
        """The display matrix, None for a video that is upright as it is coded."""
        return self._format.matrix

    def __iter__(self) -> Iterator[DecodedFrame]:
        return self._frames(itertools.count(), None)

    def only(self, stretches: Sequence[Stretch]) -> Iterator[DecodedFrame]:
        """Yield the frames of some stretches, in order; frames between them are not decoded.

        Raises:
            MediaError: the file has other frames than the stretches say.
        """
        numbers = itertools.chain.from_iterable(range(s.first, s.end) for s in stretches)
        ends = {s.first: s.start for s in stretches} | {s.end - 1: s.last for s in stretches}
        for frame in self._frames(numbers, stretches):
            if ends.get(frame.index, frame.pts) != frame.pts:
                raise MediaError(
                    f"{self._media}: frame {frame.index} has changed; analyse it again"
                )
            yield frame
        if next(numbers, None) is not None:
            raise MediaError(f"{self._media}: has other frames than before; analyse it again")

    def _frames(
        self, numbers: Iterator[int], stretches: Sequence[Stretch] | None
    ) -> Iterator[DecodedFrame]:
        pictures = run_ahead(
            self._pictures(stretches), weigh=_weight, count=_AHEAD_FRAMES, weight=_AHEAD_BYTES
        )
        orientation, converters = self._format.orientation, Converters()
        try:
            for picture, aspect in pictures:
                index = next(numbers, None)
                if index is None:
                    raise MediaError(
                        f"{self._media}: has more frames than before; analyse it again"
                    )
                assert picture.pts is not None
                yield DecodedFrame(index, picture.pts, picture, orientation, converters, aspect)
        finally:
            pictures.close()

    def _pictures(self, stretches: Sequence[Stretch] | None) -> Iterator[_Picture]:
        with self._media.open_container() as container:
            if stretches is None:
                yield from self._all(container)
            else:
                yield from self._shown(container, stretches)

    def _all(self, container: InputContainer) -> Iterator[_Picture]:
        """Yield all frames, and keep the groups of pictures found on the way for rendering."""
        scan = GopScan(self._media, container)
        yield from self._shown(container, None, scan)
        scan.finish()

    def _shown(
        self,
        container: InputContainer,
        stretches: Sequence[Stretch] | None,
        scan: GopScan | None = None,
    ) -> Iterator[_Picture]:
        converter = VideoReformatter()
        stream = prepared(
            container, self._media, threads=self._threads, quantisers=self._quantisers
        )
        aspects = PixelAspects(stream)
        first: int | None = None

        def observe(packet: "Packet[VideoStream]") -> None:
            aspects.add_packet(packet)
            if scan is not None:
                scan.add(packet)

        if self._media.window is None:
            pictures = decoded(container, stream, self._media, stretches, observe)
        else:
            bounds = bounds_of(self._media)
            pictures = windowed_frames(container, stream, self._media, bounds, observe)
        for picture in pictures:
            self._format.check(picture, self._media)
            assert picture.pts is not None
            first = picture.pts if first is None else first
            self._media.check_length((picture.pts - first) * self.info.time_base)
            yield self._format.converted(picture, converter), aspects.of(picture.pts)


def _weight(item: _Picture) -> int:
    return sum(plane.buffer_size for plane in item[0].planes)
