"""Write a video in which untouched groups of pictures are copied, and the others are encoded."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from app.errors import MediaError, OutputError
from app.types import Frame, PartialSource, Stretch
from app.video.bitstream.nal import Uncopyable
from app.video.bitstream.parameter_sets import ParameterSets
from app.video.container import main_video, video_packets
from app.video.frame import DecodedFrame
from app.video.header import first_frame
from app.video.media import Media
from app.video.metadata import is_piece
from app.video.sidedata import display_matrix
from app.video.sink import VideoSink
from app.video.smart.division import divided, split_before
from app.video.smart.gops import Gops, Mask, find_gops, find_gops_of_result
from app.video.smart.muxer import PacketMixer, check_containers, open_encoder, stretches_of
from app.video.smart.verify import check_mixed
from app.video.writing import Writing


class MixingSink(VideoSink):
    """Encodes the frames that were touched, in whole GOPs, and copies all others.

    They are copied from the source, or from an earlier result of the same source. ``frames`` yields
    those that must be written.

    Args:
        media: the source.
        output: the result.
        writing: how it is written.
        touched: (frames,) the frames that cannot be copied.
        last: the earlier result; None: copy from the source.

    Raises:
        Uncopyable: copying is not safe here; use ``EncodingSink``. ``write`` and ``commit`` raise
            it too, because some reasons are found only while the file is written or checked.
        MediaError, OutputError, DiskFull: as ``VideoSink``.
    """

    def __init__(
        self,
        media: Media,
        output: Path,
        writing: Writing,
        touched: Mask,
        last: Media | None = None,
    ) -> None:
        gops = find_gops(media) if last is None else _split_gops(last, touched)
        encoded = gops.to_encode(touched)
        self._decoded = (
            stretches_of(gops, encoded) if last is None else _to_decode(media, gops, encoded)
        )
        super().__init__(media, output, writing)
        try:
            check_containers((last or media).format, self._streams)
            _check_no_piece(self._input)
            if self._gop_frames is not None:
                gops = divided(gops, encoded, self._gop_frames)
            picture = first_frame(media)
            self._encoder, sets = self._open_encoder(picture, gops)
            self._mixer = PacketMixer(gops, encoded, sets)
            if last is not None:
                self._check_last(gops)
            self._begin(picture, last or media)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def _open_encoder(
        self, picture: av.VideoFrame, gops: Gops
    ) -> tuple[VideoStream, ParameterSets]:
        """Open an encoder; its parameter sets are among those of the copied file if possible.

        So the sets do not increase with each result that is copied from another one.
        """
        for number in gops.sets.shared_ids():
            with ExitStack() as attempt:
                stream, sets = self._open_with(number, picture, gops, attempt)
                if gops.sets.includes(sets):
                    self._stack.enter_context(attempt.pop_all())
                    return stream, sets
        return self._open_with(gops.sets.free_id(), picture, gops, self._stack)

    def _open_with(
        self, number: int, picture: av.VideoFrame, gops: Gops, stack: ExitStack
    ) -> tuple[VideoStream, ParameterSets]:
        # Nothing is written to this container: it only holds the encoder.
        holder = stack.enter_context(av.open(os.devnull, "w", format="null"))
        stream = self._add_encoder(holder, picture)
        return stream, open_encoder(stream, gops, number)

    def _check_last(self, gops: Gops) -> None:
        """Check the facts that only matter where an earlier result is copied.

        If nothing may be copied from the source, the result must not show a second encoder either.
        """
        if self._shift:
            raise Uncopyable("the times of its source are moved")
        if not self._writing.copy_untouched and self._mixer.record.sets != gops.sets:
            raise Uncopyable("it would have the parameter sets of two encoders")

    def _begin(self, picture: av.VideoFrame, copied: Media) -> None:
        output = self._open_output()
        stream = output.add_stream_from_template(self._encoder)
        stream.codec_context.extradata = bytes(self._mixer.record.sets)
        self._describe(stream, display_matrix(picture))
        copies = self._stack.enter_context(copied.open_container())
        if main_video(copies, copied).time_base != self._time_base:
            raise Uncopyable("its times are in other units")
        self._mixer.connect(video_packets(copies, copied), stream)
        self._file, self._others = output, self._add_other_streams(output)

    @property
    def stretches(self) -> Sequence[Stretch]:
        """The frames that must be written; all others are copied."""
        return self._mixer.stretches

    @property
    def encoded(self) -> int:
        """The number of frames that must be written."""
        return int(self._mixer.record.encoded.sum())

    def frames(self, source: PartialSource) -> Iterator[Frame]:
        """Yield the frames of ``source`` that must be written, in order.

        No more frames than necessary are decoded. If the source has no GOPs that can be decoded on
        their own, these are all frames up to the last one that must be written.

        Raises:
            MediaError: the file has other frames than before.
        """
        encoded = self._mixer.record.encoded
        last = int(np.flatnonzero(encoded).max(initial=-1))
        if last < 0:
            return
        for frame in source if self._decoded is None else source.only(self._decoded):
            if encoded[frame.index]:
                yield frame
            if frame.index == last:
                return

    def _write(self, frame: DecodedFrame) -> None:
        picture = self._convert(frame)
        self._mixer.prepare(frame.index, picture)
        packets = self._encoder.encode_lazy(picture)
        self._mux(self._file, self._others, self._mixer.ordered(packets))

    def _finish(self) -> None:
        packets = self._encoder.encode_lazy(None)
        self._mux(self._file, self._others, self._mixer.ordered(packets, last=True))
        record = self._mixer.record
        self._close(self._file, self._others, record.times(self._time_base))
        check_mixed(self._pending.path, record)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Translate errors to ``Uncopyable``: without copied packets, writing may succeed."""
        try:
            with super()._translated():
                yield
        except Uncopyable:
            raise
        except (MediaError, OutputError) as error:
            raise Uncopyable(str(error)) from error


def _check_no_piece(container: InputContainer) -> None:
    """Refuse a piece of a split video: all pieces need the same parameter sets."""
    if is_piece(container.metadata):
        raise Uncopyable("it is a piece of a split video")


def _split_gops(last: Media, touched: Mask) -> Gops:
    """Return the groups of an earlier result, split where that leaves fewer frames to encode."""
    gops = find_gops_of_result(last)
    gops.check_frames(touched)
    return split_before(gops, touched)


def _to_decode(media: Media, gops: Gops, encoded: Mask) -> Sequence[Stretch] | None:
    """Return the stretches of the source that hold the frames to encode, None for all of it.

    ``gops`` are those of an earlier result; the source has others.

    Raises:
        Uncopyable: the frames of the source have other times than those of the result.
        MediaError: the source cannot be read.
    """
    if media.accept_truncated or media.window is not None:
        raise Uncopyable("not all of it is read")
    try:
        source = find_gops(media)
    except Uncopyable:
        return None
    if not np.array_equal(source.frame_pts, gops.frame_pts):
        raise Uncopyable("its frames have other times than those of the source")
    return stretches_of(source, source.whole(encoded))
