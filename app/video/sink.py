"""A film out of frames, with everything else of the input beside it."""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from app.errors import MediaError, OutputError
from app.files import PendingFile, check_place
from app.types import Boxes, Frame, MediaFile, Stretch
from app.video.bitstream.nal import Uncopyable
from app.video.container import frame_rate, main_video, open_container, translated
from app.video.encoder import Fitter, add_encoder
from app.video.frame import DecodedFrame
from app.video.hardware import Encoder
from app.video.metadata import kept, spelt
from app.video.piece_tag import handed_on, is_piece, mark_of
from app.video.remux import Carrier
from app.video.smart.gops import find_groups, video_packets
from app.video.smart.muxer import Mixer, check_kinds, open_encoder
from app.video.smart.verify import check_mixed
from app.video.source import display_matrix, first_picture
from app.video.streams import check_rotation, plan_streams
from app.video.verify import Times, check_file


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
        copy_untouched: bool = False,
        encoder: Encoder = "software",
    ) -> None:
        check_place(source, output, overwrite=overwrite)
        self._source, self._format, self._name = source, format_, output
        self._quality, self._keep_location = quality, keep_location
        self._threads = threads if threads is not None else len(os.sched_getaffinity(0))
        self._copy_untouched = copy_untouched
        self._pending = PendingFile(output, overwrite=overwrite)
        self._stack = ExitStack()
        self._times = Times()
        self._durations: dict[int, int] = {}
        self._writing: _Writing | None = None
        with self._stack:
            self._input = self._stack.enter_context(open_container(source, format_))
            self._outline = plan_streams(self._input, source, output, encoder)
            self._fitter = Fitter(self._outline.encoding.pixel_format)
            self._stack = self._stack.pop_all()

    def needed(self, hidden: NDArray[np.bool_]) -> Sequence[Stretch] | None:
        """Ask before the first frame which ones must be written; None: every one.

        The others are copied, if that is allowed and safe. ``write`` and ``commit`` raise
        ``Uncopyable`` where it turns out that it was not.
        """
        if not self._copy_untouched or hidden.all() or is_piece(self._input.metadata):
            return None
        try:
            self._writing = self._start_mixed(hidden)
        except Uncopyable:
            return None
        assert self._writing.mixer is not None  # noqa: S101 - it was made just now
        return self._writing.mixer.stretches

    def write(self, frame: Frame, boxes: Boxes) -> None:  # noqa: ARG002 - part of the contract
        """Encode ``frame``, a frame of the source, in which ``boxes`` have been hidden already."""
        if not isinstance(frame, DecodedFrame):
            raise TypeError(f"expected a frame of a video source, got {type(frame).__name__}")
        with self._translated():
            if self._writing is None:
                self._writing = self._start(frame.picture)
            picture = self._fitter.fit(frame.picture, frame.pts)
            self._times.add(frame.pts * self._writing.time_base)
            self._durations[frame.pts] = picture.duration
            if self._writing.mixer is not None:
                self._writing.mixer.take(frame.index, picture)
            self._mux(self._writing, self._writing.encoded(picture))

    def commit(self) -> None:
        """Finish the file, look through it, and move it to its name."""
        if self._writing is None:
            raise MediaError(f"{self._source}: no frame was written; nothing to put in place")
        with self._translated():
            # One by one: what encoders hold back is seconds of work that Ctrl-C must not wait for.
            self._mux(self._writing, self._writing.encoded(None))
            self._writing.carrier.pump(None)
            self._writing.output.close()
            self._check(self._writing)
        with translated(self._name, writing=True):
            self._pending.commit()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors as ours; what goes wrong with copied packets may go well without them."""
        try:
            with translated(self._name, writing=True):
                yield
        except (MediaError, OutputError) as error:
            if self._writing is None or self._writing.mixer is None:
                raise
            raise Uncopyable(str(error)) from error

    def _check(self, writing: "_Writing") -> None:
        """Look through the finished file."""
        times, mixer = self._times, writing.mixer
        if mixer is not None:
            times = mixer.written.times(writing.time_base)
        check_file(
            self._pending.path, self._outline.muxer, times, writing.carrier.tallies, self._name
        )
        if mixer is not None:
            check_mixed(self._pending.path, mixer.written)

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
        return self._written_to(output, stream, video)

    def _start_mixed(self, hidden: NDArray[np.bool_]) -> "_Writing":
        """Begin a file of packets of the source and of an encoder that stands beside it.

        Raises:
            Uncopyable: it would not be safe.
        """
        check_kinds(self._format, self._outline)
        groups = find_groups(self._source, self._format)
        touched = groups.touched(hidden)
        video = main_video(self._input, self._source)
        picture = first_picture(self._source, self._format)
        # Nothing is written to it: it only holds the encoder.
        beside = av.open(os.devnull, "w", format="null")
        encoder = self._add_video(beside, video, picture)
        sets = open_encoder(encoder, groups)
        mixer = Mixer(groups, touched, sets)
        output = self._open_output(video)
        stream = output.add_stream_from_template(encoder)
        stream.codec_context.extradata = bytes(mixer.written.sets)
        self._describe(stream, video, picture)
        copies = self._stack.enter_context(open_container(self._source, self._format))
        mixer.connect(video_packets(self._source, copies), stream)
        writing = self._written_to(output, encoder, video)
        writing.mixer = mixer
        return writing

    def _written_to(
        self, output: OutputContainer, stream: VideoStream, video: VideoStream
    ) -> "_Writing":
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
        mark = mark_of(self._input.metadata)
        stream = add_encoder(
            output,
            video,
            picture,
            self._outline.encoding,
            rate=mark.rate if mark is not None else frame_rate(video),
            quality=self._quality,
            threads=self._threads,
        )
        self._describe(stream, video, picture)
        return stream

    def _describe(self, stream: VideoStream, video: VideoStream, picture: av.VideoFrame) -> None:
        """Tell of a stream of the output what the container holds, not the encoder."""
        matrix = display_matrix(picture)
        check_rotation(matrix, self._outline.muxer, self._name)
        stream.set_display_matrix(matrix)
        facts = kept(video.metadata, keep_location=self._keep_location)
        stream.metadata.update(spelt(facts, self._outline.muxer))
        stream.disposition = video.disposition & ~Disposition.attached_pic

    def _mux(self, writing: "_Writing", packets: "Iterable[Packet[VideoStream]]") -> None:
        for packet in packets:
            if packet.pts is not None:
                # What is copied has one already.
                packet.duration = self._durations.pop(packet.pts, packet.duration or 0)
            time = packet.dts if packet.dts is not None else packet.pts
            if time is not None:
                writing.carrier.pump(time * packet.time_base)
            writing.output.mux_one(packet)


class _Writing:
    """The file while it is written; ``stream`` is the one whose encoder is used."""

    __slots__ = ("carrier", "mixer", "output", "stream", "time_base")

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
        self.mixer: Mixer | None = None

    def encoded(self, picture: av.VideoFrame | None) -> "Iterable[Packet[VideoStream]]":
        """The packets that are ready with another picture, or without any more."""
        packets = self.stream.encode_lazy(picture)
        if self.mixer is None:
            return packets
        return self.mixer.ordered(packets, last=picture is None)


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
