"""Write a video from frames, with all other streams of the input beside them."""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from app.errors import MediaError
from app.files import PendingFile, check_destination
from app.types import Boxes, Frame
from app.video.container import frame_rate, main_video, translated
from app.video.encoder import Fitter, add_encoder
from app.video.frame import DecodedFrame
from app.video.header import display_matrix
from app.video.media import Media
from app.video.metadata import kept, spelt
from app.video.piece_tag import handed_on, mark_of
from app.video.remux import Carrier
from app.video.streams import check_rotation, map_streams
from app.video.verify import Times, check_file
from app.video.writing import Writing


class VideoSink(ABC):
    """The part that both sinks for video share: the output file and its other streams.

    Nothing has the name ``output`` before ``commit``, which checks the finished file.

    Raises:
        OutputError: ``output`` cannot be written, or cannot hold the streams of ``media``.
        DiskFull: there is no space for it.
        MediaError: ``media`` is damaged, or the finished file is not what was written.
    """

    def __init__(self, media: Media, output: Path, writing: Writing) -> None:
        check_destination(output, overwrite=writing.overwrite, inputs=(media.file,))
        self._media, self._name, self._writing = media, output, writing
        self._pending = PendingFile(output, overwrite=writing.overwrite)
        self._durations: dict[int, int] = {}
        self._output: OutputContainer | None = None
        self._stack = ExitStack()
        with ExitStack() as stack:
            self._input = stack.enter_context(media.open_container())
            self._video = main_video(self._input, media)
            self._map = map_streams(self._input, media, output, writing.encoder)
            self._fitter = Fitter(self._map.encoding.pixel_format)
            self._stack = stack.pop_all()

    def write(self, frame: Frame, boxes: Boxes) -> None:  # noqa: ARG002 - part of the contract
        """Encode ``frame``, a frame of the source, in which ``boxes`` have been hidden already."""
        if not isinstance(frame, DecodedFrame):
            raise TypeError(f"expected a frame of a video source, got {type(frame).__name__}")
        with self._translated():
            self._write(frame)

    def commit(self) -> None:
        """Finish the file, check it, and move it to its name."""
        with self._translated():
            self._finish()
        with translated(self._name, writing=True):
            self._pending.commit()

    @abstractmethod
    def _write(self, frame: DecodedFrame) -> None:
        """Encode one frame."""

    @abstractmethod
    def _finish(self) -> None:
        """Write the rest, close the output, and check it."""

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(self._name, writing=True):
            yield

    def _fit(self, frame: DecodedFrame) -> av.VideoFrame:
        picture = self._fitter.fit(frame.picture, frame.pts)
        self._durations[frame.pts] = picture.duration
        return picture

    @property
    def _time_base(self) -> Fraction:
        return Fraction(self._video.time_base or 1)

    def _open_output(self) -> OutputContainer:
        output = av.open(
            str(self._pending.path),
            "w",
            format=self._map.muxer,
            container_options=muxer_options(self._map.muxer, self._input, self._video),
            metadata_errors="surrogateescape",
        )
        facts = kept(self._input.metadata, keep_location=self._writing.keep_location)
        output.metadata.update(handed_on(facts))
        output.set_chapters(self._input.chapters())
        self._output = output
        return output

    def _add_encoder(self, output: OutputContainer, picture: av.VideoFrame) -> VideoStream:
        mark = mark_of(self._input.metadata)
        threads = self._writing.threads
        stream = add_encoder(
            output,
            self._video,
            picture,
            self._map.encoding,
            rate=mark.rate if mark is not None else frame_rate(self._video),
            quality=self._writing.quality,
            threads=threads if threads is not None else len(os.sched_getaffinity(0)),
        )
        self._describe(stream, picture)
        return stream

    def _describe(self, stream: VideoStream, picture: av.VideoFrame) -> None:
        """Copy the facts that belong to the container, not to the encoder."""
        matrix = display_matrix(picture)
        check_rotation(matrix, self._map.muxer, self._name)
        stream.set_display_matrix(matrix)
        facts = kept(self._video.metadata, keep_location=self._writing.keep_location)
        stream.metadata.update(spelt(facts, self._map.muxer))
        stream.disposition = self._video.disposition & ~Disposition.attached_pic

    def _carrier(self, output: OutputContainer) -> Carrier:
        """The carrier of the other streams; made after the video stream of the output."""
        return Carrier(
            self._input,
            self._media,
            output,
            self._map,
            keep_location=self._writing.keep_location,
        )

    def _mux(
        self,
        output: OutputContainer,
        carrier: Carrier,
        packets: "Iterable[Packet[VideoStream]]",
    ) -> None:
        for packet in packets:
            if packet.pts is not None:
                # A copied packet has its duration already.
                packet.duration = self._durations.pop(packet.pts, packet.duration or 0)
            time = packet.dts if packet.dts is not None else packet.pts
            if time is not None:
                carrier.pump(time * packet.time_base)
            output.mux_one(packet)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._output is not None:
                # Closing twice does nothing; an error of a discarded file does not matter.
                with suppress(av.error.FFmpegError):
                    self._output.close()
        finally:
            self._stack.close()
            self._pending.discard()


class EncodingSink(VideoSink):
    """Encodes every frame; implements the contract ``FrameSink``."""

    def __init__(self, media: Media, output: Path, writing: Writing) -> None:
        super().__init__(media, output, writing)
        self._times = Times()
        self._begun: tuple[OutputContainer, VideoStream, Carrier] | None = None

    def _write(self, frame: DecodedFrame) -> None:
        output, stream, carrier = self._begun or self._begin(frame.picture)
        picture = self._fit(frame)
        self._times.add(frame.pts * self._time_base)
        self._mux(output, carrier, stream.encode_lazy(picture))

    def _begin(self, picture: av.VideoFrame) -> tuple[OutputContainer, VideoStream, Carrier]:
        """Open the output; the first frame decides about colours and interlacing."""
        output = self._open_output()
        stream = self._add_encoder(output, picture)
        self._begun = output, stream, self._carrier(output)
        return self._begun

    def _finish(self) -> None:
        if self._begun is None:
            raise MediaError(f"{self._media}: no frame was written; nothing to put in place")
        output, stream, carrier = self._begun
        # One by one: encoders hold back seconds of work, and Ctrl-C must not wait for it.
        self._mux(output, carrier, stream.encode_lazy(None))
        carrier.pump(None)
        output.close()
        check_file(self._pending.path, self._map.muxer, self._times, carrier.tallies, self._name)


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
