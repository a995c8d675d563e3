"""Write a video file: its frames, and all other streams of the input beside them."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from app.errors import MediaError
from app.files import PendingFile, check_destination, remove_leftovers
from app.types import Boxes, Frame
from app.video.clocks import clock_shift, move
from app.video.container import frame_rate, main_video, translated
from app.video.encoder import FrameConverter, add_encoder, gop_frames
from app.video.file_check import FrameTimes, check_file
from app.video.frame import DecodedFrame
from app.video.media import Media
from app.video.metadata import as_processed, kept_chapters, kept_tags, piece_tag_of, tags_for_muxer
from app.video.orientation import Matrix
from app.video.remux import Carrier
from app.video.sidedata import display_matrix
from app.video.streams import check_rotation, map_streams, muxer_of
from app.video.trial import copyable
from app.video.window import seconds_of
from app.video.writing import Writing, muxer_options


class VideoWriter(ABC):
    """Writes the part that all video files share: the container and the streams beside the video.

    Nothing has the name ``output`` before ``commit``, which checks the finished file. Use it as a
    context manager: leaving the context removes an unfinished file.

    Args:
        media: the input.
        output: the file to write; its suffix names the container.
        writing: how it is written.

    Raises:
        OutputError: ``output`` cannot be written, or cannot hold the streams of ``media``.
        DiskFull: there is no space for it.
        MediaError: ``media`` is damaged, or the finished file differs from the written data.
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
            self._streams = map_streams(
                self._input,
                media,
                output,
                copyable(media, muxer_of(output)),
                encoder=writing.encoder,
                drop=writing.drop,
            )
            self._shift = clock_shift(self._input, self._streams.muxer)
            if (bounds := seconds_of(media)) is not None:
                self._shift = -bounds[0]
            self._stack = stack.pop_all()

    def commit(self) -> None:
        """Finish the file, check it and the input, and move it to its name."""
        with self._translated():
            self._finish()
        self._media.check_unchanged()
        with translated(self._name, writing=True):
            self._pending.commit()

    @abstractmethod
    def _finish(self) -> None:
        """Write the remaining packets, then call ``_close``."""

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(self._name, writing=True):
            yield

    @property
    def _time_base(self) -> Fraction:
        return Fraction(self._video.time_base or 1)

    def _open_output(self) -> OutputContainer:
        remove_leftovers(self._pending.path.parent)
        self._pending.claim()
        output = av.open(
            str(self._pending.path),
            "w",
            format=self._streams.muxer,
            container_options=muxer_options(self._streams.muxer, self._input, self._video),
            metadata_errors="surrogateescape",
        )
        keep_location = self._writing.keep_location
        tags = kept_tags(self._input.metadata, keep_location=keep_location)
        output.metadata.update(as_processed(tags))
        if self._media.window is None:
            output.set_chapters(kept_chapters(self._input.chapters(), keep_location=keep_location))
        self._output = output
        return output

    def _describe(self, stream: VideoStream, matrix: Matrix | None) -> None:
        """Set the facts of a video stream that belong to the container, not to the encoder."""
        check_rotation(matrix, self._streams.muxer, self._name)
        stream.set_display_matrix(matrix)
        tags = kept_tags(self._video.metadata, keep_location=self._writing.keep_location)
        stream.metadata.update(tags_for_muxer(tags, self._streams.muxer))
        stream.disposition = self._video.disposition & ~Disposition.attached_pic

    def _add_other_streams(self, output: OutputContainer) -> Carrier:
        """Add the streams beside the video; call it after the video stream has been added."""
        keep_location = self._writing.keep_location
        return Carrier(
            self._input,
            self._media,
            output,
            self._streams,
            keep_location=keep_location,
            shift=self._shift,
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
                carrier.write_until(time * packet.time_base)
            move(packet, self._shift)
            output.mux_one(packet)

    def _close(self, output: OutputContainer, carrier: Carrier, times: FrameTimes) -> None:
        """Write the rest of the other streams, close the file and check it."""
        carrier.write_until(None)
        output.close()
        times.move(self._shift)
        check_file(self._pending.path, self._streams.muxer, times, carrier.tallies, self._name)

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


class VideoSink(VideoWriter):
    """A writer that encodes frames; its subclasses implement the contract ``FrameSink``."""

    def __init__(self, media: Media, output: Path, writing: Writing) -> None:
        super().__init__(media, output, writing)
        self._converter = FrameConverter(self._streams.encoding)

    def write(self, frame: Frame, boxes: Boxes) -> None:  # noqa: ARG002 - part of the contract
        """Encode ``frame``, a frame of the source, in which ``boxes`` have been hidden already."""
        if not isinstance(frame, DecodedFrame):
            raise TypeError(f"expected a frame of a video source, got {type(frame).__name__}")
        with self._translated():
            self._write(frame)

    @abstractmethod
    def _write(self, frame: DecodedFrame) -> None:
        """Encode one frame."""

    def _convert(self, frame: DecodedFrame) -> av.VideoFrame:
        picture = self._converter.convert(frame.picture, frame.pts)
        self._durations[frame.pts] = picture.duration
        return picture

    def _add_encoder(self, output: OutputContainer, picture: av.VideoFrame) -> VideoStream:
        threads = self._writing.threads
        stream = add_encoder(
            output,
            self._video,
            picture,
            self._streams.encoding,
            rate=self._rate,
            quality=self._writing.quality,
            preset=self._writing.preset,
            threads=threads if threads is not None else len(os.sched_getaffinity(0)),
            gop_frames=self._gop_frames,
        )
        self._describe(stream, display_matrix(picture))
        return stream

    @property
    def _rate(self) -> Fraction:
        piece = piece_tag_of(self._input.metadata)
        return piece.rate if piece is not None else frame_rate(self._video)

    @property
    def _gop_frames(self) -> int | None:
        """The largest number of frames in a GOP, None for that of the encoder."""
        seconds = self._writing.gop_seconds
        return None if seconds is None else gop_frames(self._rate, seconds)


class EncodingSink(VideoSink):
    """Encodes every frame; implements the contract ``FrameSink``."""

    def __init__(self, media: Media, output: Path, writing: Writing) -> None:
        super().__init__(media, output, writing)
        self._times = FrameTimes()
        self._begun: tuple[OutputContainer, VideoStream, Carrier] | None = None

    def _write(self, frame: DecodedFrame) -> None:
        output, stream, carrier = self._begun or self._begin(frame.picture)
        picture = self._convert(frame)
        self._times.add(frame.pts * self._time_base)
        self._mux(output, carrier, stream.encode_lazy(picture))

    def _begin(self, picture: av.VideoFrame) -> tuple[OutputContainer, VideoStream, Carrier]:
        """Open the output; the first frame decides about colours and interlacing."""
        output = self._open_output()
        stream = self._add_encoder(output, picture)
        self._begun = output, stream, self._add_other_streams(output)
        return self._begun

    def _finish(self) -> None:
        if self._begun is None:
            raise MediaError(f"{self._media}: no frame was written, so there is no output")
        output, stream, carrier = self._begun
        # One by one: encoders hold back seconds of work, and Ctrl-C must not wait for it.
        self._mux(output, carrier, stream.encode_lazy(None))
        self._close(output, carrier, self._times)
