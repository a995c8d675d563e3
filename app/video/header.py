"""The facts that hold for all frames of a video, read from its header and first frame."""

from dataclasses import dataclass, replace
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from app.errors import MediaError, UnsupportedMedia
from app.types import MediaInfo, Size, Window
from app.video.container import frame_rate
from app.video.decoding import decoded, prepared
from app.video.fitting import fitted
from app.video.media import Media
from app.video.orientation import Matrix, Orientation, is_quarter_turn
from app.video.pixel_formats import full_chroma, layout, planar_format
from app.video.sidedata import display_matrix
from app.video.truncation import check_complete

_RESIZABLE = frozenset({"h264", "hevc", "vp8", "libvpx", "vp9", "libvpx-vp9", "av1", "libdav1d"})
"""Decoders that lose no frame where the size changes; that of MPEG-2 loses one."""


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """Size, pixel formats and rotation, which all frames of a video must share.

    ``coded`` is the pixel format of the decoder, ``shown`` the one in which frames are handed out.
    ``resizable``: the coded size may change.
    """

    size: Size
    coded: str
    shown: str
    matrix: Matrix | None
    rotation: int
    resizable: bool = False

    @classmethod
    def of(cls, picture: av.VideoFrame, media: Media, decoder: str) -> "FrameFormat":
        """Take the facts of the first frame, which the decoder of this name has made.

        Raises:
            UnsupportedMedia: its pixel format has no planar equivalent, or it is shown skewed.
        """
        name = picture.format.name
        shown = planar_format(name)
        if shown is None:
            raise UnsupportedMedia(f"{media}: pixel format {name}; convert it to H.264 first")
        size, matrix = (picture.width, picture.height), display_matrix(picture)
        if matrix is not None and not is_quarter_turn(matrix):
            raise UnsupportedMedia(f"{media}: is not turned by quarters; remove its rotation")
        if _splits_chroma(shown, size, Orientation.from_matrix(matrix)):
            shown = full_chroma(shown)
        return cls(size, name, shown, matrix, picture.rotation, decoder in _RESIZABLE)

    @property
    def orientation(self) -> Orientation:
        """How the coded frame is turned to stand upright."""
        return Orientation.from_matrix(self.matrix)

    def check(self, picture: av.VideoFrame, media: Media) -> None:
        """Check that a frame has the format of the first one; its size may differ in some codecs.

        Only the rotation of its display matrix is compared. Reading side data ties a frame into a
        reference cycle, and hundreds of frames would wait for the garbage collector.

        Raises:
            MediaError: its pixel format, rotation or size differs.
            MediaTooLarge: it is larger than ``media`` allows.
        """
        size, name = (picture.width, picture.height), picture.format.name
        media.check_size(size)
        is_resized = size != self.size and not self.resizable
        if is_resized or name != self.coded or picture.rotation != self.rotation:
            raise MediaError(
                f"{media}: size, format or rotation of its frames changes at {picture.pts}; "
                "split it there"
            )

    def converted(self, picture: av.VideoFrame, converter: VideoReformatter) -> av.VideoFrame:
        """Return the frame in the pixel format ``shown``; itself if it has that format.

        A frame of another size is fitted into the first one, between black bars.
        """
        if (picture.width, picture.height) != self.size:
            return fitted(picture, self.size, self.shown, converter)
        if self.shown == self.coded:
            return picture
        shown = converter.reformat(picture, format=self.shown, threads=1)
        shown.pts, shown.time_base = picture.pts, picture.time_base
        return shown


def _splits_chroma(name: str, size: Size, turn: Orientation) -> bool:
    """Whether mirroring would let a chroma sample begin at an odd pixel."""
    flips = (turn.flip_y, turn.flip_x) if turn.transpose else (turn.flip_x, turn.flip_y)
    steps = (1 << shift for shift in layout(name).shifts)
    return any(flip and side % step for flip, side, step in zip(flips, size, steps, strict=True))


@dataclass(frozen=True, slots=True)
class Header:
    """The format of all frames of a video, and the facts of its header."""

    frame_format: FrameFormat
    info: MediaInfo


def header_of(media: Media) -> Header:
    """Return the header of a video; the file is read by the first call only.

    Raises:
        MediaError: the file is damaged, or its first frame cannot be decoded.
        UnsupportedMedia: it has no video that can be decoded and shown.
    """
    return media.fact(_read)


def first_pts(media: Media) -> int:
    """Return the time of the first frame of a video, in units of its time base.

    Raises:
        MediaError: it cannot be decoded.
    """
    return media.fact(_first_pts)


def _first_pts(media: Media) -> int:
    pts = first_frame(media).pts
    assert pts is not None
    return pts


def first_frame(media: Media) -> av.VideoFrame:
    """Decode the first frame of a video, not turned upright.

    Raises:
        MediaError: it cannot be decoded.
    """
    with media.open_facts() as container:
        return _first(container, prepared(container, media, threads=1), media)


def _read(media: Media) -> Header:
    check_complete(media)
    with media.open_facts() as container:
        stream = prepared(container, media, threads=1)
        first = _first(container, stream, media)
        frame_format = FrameFormat.of(first, media, stream.codec_context.name)
        info = _info(container, stream, frame_format)
        return Header(frame_format, _windowed(info, media.window))


def _first(container: InputContainer, stream: VideoStream, media: Media) -> av.VideoFrame:
    first = next(decoded(container, stream, media), None)
    if first is None:
        raise MediaError(f"{media}: holds no frame that can be shown; export it again")
    return first


def _info(container: InputContainer, stream: VideoStream, frame_format: FrameFormat) -> MediaInfo:
    base = Fraction(stream.time_base or Fraction(1, 90000))
    if stream.duration:
        duration = stream.duration * base
    else:
        duration = Fraction(container.duration or 0, av.time_base)
    return MediaInfo(
        size=frame_format.orientation.size(frame_format.size),
        time_base=base,
        rate=frame_rate(stream),
        duration=duration,
        frames=stream.frames or None,
        is_image=False,
    )


def _windowed(info: MediaInfo, window: Window | None) -> MediaInfo:
    if window is None:
        return info
    end = info.duration if window.end is None else min(window.end, info.duration)
    return replace(info, duration=max(Fraction(0), end - window.begin), frames=None)
