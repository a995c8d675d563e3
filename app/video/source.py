"""Frames of a video file, in presentation order."""

import bisect
import itertools
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.stream import Discard
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from app.errors import MediaError, UnsupportedMedia
from app.types import MediaFile, MediaInfo, Size, Stretch
from app.video.container import frame_rate, main_video, open_container, translated
from app.video.decode_check import ONE_TO_ONE, Ledger
from app.video.frame import Converters, DecodedFrame
from app.video.orientation import Matrix, Orientation
from app.video.pixel_formats import full_chroma, layout, planar_format
from app.video.prefetch import run_ahead
from app.video.sidedata import side_data
from app.video.truncation import check_complete

_AHEAD_FRAMES = 8
_AHEAD_BYTES = 64 << 20


class VideoSource:
    """A film; implements the contract ``PartialSource``.

    Frames that an edit list hides are not shown. Damage is never skipped: a frame that is missing,
    incomplete or concealed, and a file that is shorter than its container says, are errors.

    Raises:
        MediaError: the file is damaged, or its first frame cannot be decoded.
        UnsupportedMedia: it holds no video that can be decoded and shown.
    """

    def __init__(self, path: MediaFile, format_: str, *, threads: int | None = None) -> None:
        self.path = path
        self.format = format_
        self._threads = threads if threads is not None else len(os.sched_getaffinity(0))
        check_complete(path, format_)
        with _open(path, format_, threads=1) as (container, stream):
            self._look = _Look.of(_first(container, stream, path), path)
            self.info = self._describe(container, stream)

    @property
    def matrix(self) -> Matrix | None:
        """The display matrix, None for a picture that is upright as it is."""
        return self._look.matrix

    def __iter__(self) -> Iterator[DecodedFrame]:
        return self._frames(itertools.count(), None)

    def only(self, stretches: Sequence[Stretch]) -> Iterator[DecodedFrame]:
        """The frames of some stretches, in order; what is between them is not decoded.

        Raises:
            MediaError: there are others in the file.
        """
        numbers = itertools.chain.from_iterable(range(s.first, s.end) for s in stretches)
        ends = {s.first: s.start for s in stretches} | {s.end - 1: s.last for s in stretches}
        for frame in self._frames(numbers, stretches):
            if ends.get(frame.index, frame.pts) != frame.pts:
                raise MediaError(f"{self.path}: frame {frame.index} is another one than before")
            yield frame
        if next(numbers, None) is not None:
            raise MediaError(f"{self.path}: has other frames than before; analyse it again")

    def _frames(
        self, numbers: Iterator[int], stretches: Sequence[Stretch] | None
    ) -> Iterator[DecodedFrame]:
        pictures = run_ahead(
            self._pictures(stretches), weigh=_weight, count=_AHEAD_FRAMES, weight=_AHEAD_BYTES
        )
        orientation, converters = self._look.orientation, Converters()
        try:
            for picture in pictures:
                index = next(numbers, None)
                if index is None:
                    raise MediaError(f"{self.path}: has more frames than before; analyse it again")
                assert picture.pts is not None  # noqa: S101 - the ledger saw to it
                yield DecodedFrame(index, picture.pts, picture, orientation, converters)
        finally:
            pictures.close()

    def _pictures(self, stretches: Sequence[Stretch] | None) -> Iterator[av.VideoFrame]:
        converter = VideoReformatter()
        with _open(self.path, self.format, threads=self._threads) as (container, stream):
            for picture in _decoded(container, stream, self.path, stretches):
                self._look.check(picture, self.path)
                yield self._look.shown(picture, converter)

    def _describe(self, container: InputContainer, stream: VideoStream) -> MediaInfo:
        base = Fraction(stream.time_base or Fraction(1, 90000))
        if stream.duration:
            duration = stream.duration * base
        else:
            duration = Fraction(container.duration or 0, av.time_base)
        return MediaInfo(
            size=self._look.orientation.size(self._look.size),
            time_base=base,
            rate=frame_rate(stream),
            duration=duration,
            frames=stream.frames or None,
            is_image=False,
        )


class _Look:
    """What all pictures of a stream have in common."""

    def __init__(
        self, size: Size, coded: str, shown: str, matrix: Matrix | None, rotation: int
    ) -> None:
        self.size = size
        self.coded = coded
        self.matrix = matrix
        self.rotation = rotation
        self.orientation = Orientation.from_matrix(matrix)
        self.target = full_chroma(shown) if self._halves_chroma(shown) else shown

    @classmethod
    def of(cls, picture: av.VideoFrame, path: MediaFile) -> "_Look":
        name = picture.format.name
        shown = planar_format(name)
        if shown is None:
            raise UnsupportedMedia(f"{path}: pixel format {name}; convert it to H.264 first")
        size, matrix = (picture.width, picture.height), display_matrix(picture)
        return cls(size, name, shown, matrix, picture.rotation)

    def _halves_chroma(self, name: str) -> bool:
        """Whether mirroring would let a chroma sample begin at an odd pixel."""
        turn = self.orientation
        flips = (turn.flip_y, turn.flip_x) if turn.transpose else (turn.flip_x, turn.flip_y)
        steps = (1 << shift for shift in layout(name).shifts)
        return any(
            flip and side % step for flip, side, step in zip(flips, self.size, steps, strict=True)
        )

    def check(self, picture: av.VideoFrame, path: MediaFile) -> None:
        """A picture that looks different would not fit the boxes of the others.

        Of its display matrix only the rotation is compared: reading side data ties a frame into
        a cycle of references, and hundreds of frames would wait for the garbage collector.
        """
        size, name = (picture.width, picture.height), picture.format.name
        if size != self.size or name != self.coded or picture.rotation != self.rotation:
            raise MediaError(
                f"{path}: size, format or rotation of its picture changes at {picture.pts}; "
                "split it there"
            )

    def shown(self, picture: av.VideoFrame, converter: VideoReformatter) -> av.VideoFrame:
        """The picture in a format whose planes can be shown."""
        if self.target == self.coded:
            return picture
        shown = converter.reformat(picture, format=self.target, threads=1)
        shown.pts, shown.time_base = picture.pts, picture.time_base
        return shown


def first_picture(path: MediaFile, format_: str) -> av.VideoFrame:
    """The first picture of a film, as it is coded.

    Raises:
        MediaError: there is none that can be shown.
    """
    with _open(path, format_, threads=1) as (container, stream):
        return _first(container, stream, path)


def _first(container: InputContainer, stream: VideoStream, path: MediaFile) -> av.VideoFrame:
    first = next(_decoded(container, stream, path), None)
    if first is None:
        raise MediaError(f"{path}: holds no frame that can be shown; export it again")
    return first


def display_matrix(picture: av.VideoFrame) -> Matrix | None:
    """The nine numbers of the display matrix of a picture, None when it has none."""
    data = side_data(picture, "DISPLAYMATRIX")
    return struct.unpack("=9i", data) if data else None


def _weight(picture: av.VideoFrame) -> int:
    return sum(plane.buffer_size for plane in picture.planes)


@contextmanager
def _open(
    path: MediaFile, format_: str, *, threads: int
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its main video, made ready to decode; closed at the end."""
    with open_container(path, format_) as container:
        stream = main_video(container, path)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        # Errors of frame threads come late and get lost where packets make no frame.
        frames = stream.codec_context.name in ONE_TO_ONE and threads > 1
        stream.codec_context.thread_type = ThreadType.AUTO if frames else ThreadType.SLICE
        stream.codec_context.thread_count = threads
        # the quantisers of H.264, MPEG-2 and VP9: how hard a face was pressed
        stream.codec_context.options = {"export_side_data": "venc_params"}
        yield container, stream


def _decoded(
    container: InputContainer,
    stream: VideoStream,
    path: MediaFile,
    stretches: Sequence[Stretch] | None = None,
) -> Iterator[av.VideoFrame]:
    """Decode all frames, or those of some stretches, and account for every packet."""
    ledger = Ledger(path, stream.codec_context.name)
    is_wanted = _chooser(stretches)
    expected, packets = _indexed(container, stream), 0
    with translated(path):
        for packet in container.demux(stream):
            if packet.size:
                packets += 1
                if not is_wanted(packet.pts):
                    continue
                ledger.sent(packet)
            for frame in packet.decode():
                yield _checked(frame, ledger, path)
    if packets < expected:
        raise MediaError(f"{path}: {packets} of {expected} frames are there; copy it again")
    ledger.finish()


def _chooser(stretches: Sequence[Stretch] | None) -> Callable[[int | None], bool]:
    """Whether the picture of a time is wanted."""
    if stretches is None:
        return lambda _: True
    starts = [stretch.start for stretch in stretches]

    def is_wanted(pts: int | None) -> bool:
        if pts is None:
            return True
        index = bisect.bisect(starts, pts) - 1
        return index >= 0 and pts <= stretches[index].last

    return is_wanted


def _indexed(container: InputContainer, stream: VideoStream) -> int:
    """How many packets the index of an MP4 or MOV promises, 0 for other containers."""
    return len(stream.index_entries) if container.format.name.startswith("mov") else 0


def _checked(frame: av.VideoFrame, ledger: Ledger, path: MediaFile) -> av.VideoFrame:
    if frame.is_corrupt:
        raise MediaError(f"{path}: the frame at {frame.pts} is damaged; repair the file")
    if frame.pts is None:
        frame.pts = frame.dts
    if frame.pts is None:
        raise MediaError(f"{path}: its frames have no times; convert it to MP4 first")
    ledger.shown(frame, frame.pts)
    return frame
