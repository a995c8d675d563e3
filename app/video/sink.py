"""A film out of frames, with everything else of the input beside it."""

import math
import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.codec.context import Flags
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from app.errors import MediaError
from app.types import Boxes, Frame, MediaFile
from app.video.codecs import options, silence
from app.video.container import frame_rate, main_video, open_container, translated
from app.video.copying import Carrier
from app.video.files import PendingFile, check_place
from app.video.formats import FULL_RANGE, layout
from app.video.frame import DecodedFrame
from app.video.marks import handed_on, mark_of
from app.video.metadata import kept, spelt
from app.video.source import display_matrix
from app.video.streams import check_rotation, plan_streams
from app.video.verify import Times, check_file

_GOP_SECONDS = 10
_GOP_FRAMES = 250
_FORMATS = {"mpegts": "mpegts", "matroska": "matroska"}


class VideoSink:
    """Writes a film; implements the contract ``FrameSink``.

    Nothing has the name ``output`` before ``commit``, which looks through the finished file.

    Raises:
        OutputError: ``output`` cannot be written, or cannot hold the streams of ``source``.
        DiskFull: there is no room.
        MediaError: ``source`` is damaged, or the finished file is not what was written.
    """

    def __init__(
        self,
        source: MediaFile,
        format_: str,
        output: Path,
        *,
        quality: int = 90,
        keep_location: bool = False,
        overwrite: bool = False,
        threads: int | None = None,
    ) -> None:
        check_place(source, output, overwrite=overwrite)
        self._source, self._format, self._name = source, format_, output
        self._quality, self._keep_location = quality, keep_location
        self._threads = threads if threads is not None else len(os.sched_getaffinity(0))
        self._pending = PendingFile(output, overwrite=overwrite)
        self._stack = ExitStack()
        self._converter = VideoReformatter()
        self._times = Times()
        self._durations: dict[int, int] = {}
        self._writing: _Writing | None = None
        with self._stack:
            self._input = self._stack.enter_context(open_container(source, format_))
            self._outline = plan_streams(self._input, source, output)
            self._stack = self._stack.pop_all()

    def write(self, frame: Frame, boxes: Boxes) -> None:  # noqa: ARG002 - for smart rendering
        """Encode ``frame``, a frame of the source, in which ``boxes`` have been hidden already."""
        if not isinstance(frame, DecodedFrame):
            raise TypeError(f"expected a frame of a video source, got {type(frame).__name__}")
        with translated(self._name, writing=True):
            if self._writing is None:
                self._writing = self._start(frame.picture)
            picture = self._fitting(frame.picture, frame.pts)
            self._times.add(frame.pts * self._writing.time_base)
            self._durations[frame.pts] = picture.duration
            self._mux(self._writing, self._writing.stream.encode(picture))

    def commit(self) -> None:
        """Finish the file, look through it, and move it to its name."""
        if self._writing is None:
            raise MediaError(f"{self._source}: no frame was written; nothing to put in place")
        with translated(self._name, writing=True):
            # One by one: what encoders hold back is seconds of work that Ctrl-C must not wait for.
            self._mux(self._writing, self._writing.stream.encode_lazy(None))
            self._writing.carrier.pump(None)
            self._writing.output.close()
        check_file(
            self._pending.path,
            self._outline.muxer,
            self._times,
            self._writing.carrier.tallies,
            self._name,
        )
        with translated(self._name, writing=True):
            self._pending.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._writing is not None:
                # Closing twice does nothing; an error of a file that is thrown away is no news.
                with suppress(av.error.FFmpegError):
                    self._writing.output.close()
        finally:
            self._stack.close()
            self._pending.discard()

    def _start(self, picture: av.VideoFrame) -> "_Writing":
        video = main_video(self._input, self._source)
        output = self._open_output(video)
        stream = self._add_video(output, video, picture)
        carrier = Carrier(
            self._input, self._source, output, self._outline, keep_location=self._keep_location
        )
        return _Writing(output, stream, carrier, Fraction(video.time_base or 1))

    def _open_output(self, video: VideoStream) -> OutputContainer:
        output = av.open(
            str(self._pending.path),
            "w",
            format=self._outline.muxer,
            container_options=muxer_options(self._outline.muxer, self._input, video),
            metadata_errors="surrogateescape",
        )
        facts = kept(self._input.metadata, keep_location=self._keep_location)
        output.metadata.update(handed_on(facts))
        output.set_chapters(self._input.chapters())
        return output

    def _add_video(
        self, output: OutputContainer, video: VideoStream, picture: av.VideoFrame
    ) -> VideoStream:
        encoding, mark = self._outline.encoding, mark_of(self._input.metadata)
        rate = mark.rate if mark is not None else frame_rate(video)
        silence(encoding.encoder)
        stream = output.add_stream(
            encoding.encoder, rate, options(encoding.encoder, self._quality, picture)
        )
        assert isinstance(stream, VideoStream)  # noqa: S101 - the table names video encoders
        context = stream.codec_context
        context.width, context.height = picture.width, picture.height
        context.pix_fmt = encoding.pixel_format
        context.time_base = Fraction(video.time_base or 1)
        stream.time_base = Fraction(video.time_base or 1)
        context.sample_aspect_ratio = video.sample_aspect_ratio or Fraction(0, 1)
        context.gop_size = min(_GOP_FRAMES, max(1, math.floor(rate * _GOP_SECONDS)))
        context.thread_count = self._threads
        self._tag_colour(stream, picture)
        if picture.interlaced_frame:
            context.flags |= Flags.interlaced_dct | Flags.interlaced_me
            context.field_order = video.codec_context.field_order
        matrix = display_matrix(picture)
        check_rotation(matrix, self._outline.muxer, self._name)
        stream.set_display_matrix(matrix)
        facts = kept(video.metadata, keep_location=self._keep_location)
        stream.metadata.update(spelt(facts, self._outline.muxer))
        stream.disposition = video.disposition & ~Disposition.attached_pic
        return stream

    def _tag_colour(self, stream: VideoStream, picture: av.VideoFrame) -> None:
        context = stream.codec_context
        context.color_primaries = picture.color_primaries
        context.color_trc = picture.color_trc
        is_rgb = layout(picture.format.name).is_rgb
        becomes_yuv = is_rgb and not layout(self._outline.encoding.pixel_format).is_rgb
        context.colorspace = 1 if becomes_yuv else picture.colorspace
        full = layout(picture.format.name).is_full_range(picture.color_range) and not is_rgb
        context.color_range = FULL_RANGE if full else (1 if becomes_yuv else picture.color_range)

    def _fitting(self, picture: av.VideoFrame, pts: int) -> av.VideoFrame:
        """The picture as the encoder takes it; itself in nearly all cases."""
        target = self._outline.encoding.pixel_format
        duration = picture.duration
        if picture.format.name != target:
            source = layout(picture.format.name)
            to_yuv = source.is_rgb and not layout(target).is_rgb
            full = source.is_full_range(picture.color_range)
            picture = self._converter.reformat(
                picture,
                format=target,
                src_color_range=FULL_RANGE if full else 1,
                dst_color_range=FULL_RANGE if full and not to_yuv else 1,
                dst_colorspace=1 if to_yuv else None,
                threads=1,
            )
        picture.pts, picture.duration = pts, duration
        # The decoder's picture types would be taken for orders.
        picture.pict_type = 0
        return picture

    def _mux(self, writing: "_Writing", packets: "Iterable[Packet[VideoStream]]") -> None:
        for packet in packets:
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, 0)
            time = packet.dts if packet.dts is not None else packet.pts
            if time is not None:
                writing.carrier.pump(time * packet.time_base)
            writing.output.mux_one(packet)


class _Writing:
    """The file while it is written."""

    __slots__ = ("carrier", "output", "stream", "time_base")

    def __init__(
        self,
        output: OutputContainer,
        stream: VideoStream,
        carrier: Carrier,
        time_base: Fraction,
    ) -> None:
        self.output = output
        self.stream = stream
        self.carrier = carrier
        self.time_base = time_base


def muxer_options(muxer: str, source: InputContainer, video: VideoStream) -> dict[str, str]:
    """Options of a muxer: the index in front, and time bases that hold every time exactly."""
    if muxer not in {"mp4", "mov"}:
        return {}
    base = Fraction(video.time_base or 1)
    chosen = {
        "movflags": "+faststart",
        "video_track_timescale": str(base.denominator),
        "strict": "experimental",
    }
    if any(stream.start_time for stream in source.streams):
        # Edit lists, which hold late starts, count in units of the movie, not of the track.
        rates = [Fraction(stream.time_base or 1).denominator for stream in source.streams.audio]
        common = math.lcm(base.denominator, *rates)
        chosen["movie_timescale"] = str(common if common < 1 << 31 else base.denominator)
    return chosen
