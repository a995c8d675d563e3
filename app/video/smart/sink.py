"""Write a video in which untouched groups of pictures are copied, and the others are encoded."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from app.errors import MediaError, OutputError
from app.types import Stretch
from app.video.bitstream.nal import Uncopyable
from app.video.container import video_packets
from app.video.frame import DecodedFrame
from app.video.header import first_frame
from app.video.media import Media
from app.video.metadata import is_piece
from app.video.sidedata import display_matrix
from app.video.sink import VideoSink
from app.video.smart.gops import find_gops
from app.video.smart.muxer import PacketMixer, check_containers, open_encoder
from app.video.smart.verify import check_mixed
from app.video.writing import Writing


class MixingSink(VideoSink):
    """Encodes the frames of ``stretches`` and copies all others; a ``FrameSink`` for these frames.

    Args:
        media: the source.
        output: the result.
        writing: how it is written.
        hidden: (frames,) whether something is hidden in each frame of the source.

    Raises:
        Uncopyable: copying is not safe here; use ``EncodingSink``. ``write`` and ``commit`` raise
            it too, because some reasons are found only while the file is written or checked.
        MediaError, OutputError, DiskFull: as ``VideoSink``.
    """

    def __init__(
        self, media: Media, output: Path, writing: Writing, hidden: NDArray[np.bool_]
    ) -> None:
        gops = find_gops(media)
        encoded = gops.to_encode(hidden)
        super().__init__(media, output, writing)
        try:
            check_containers(media.format, self._streams)
            _check_no_piece(self._input)
            picture = first_frame(media)
            # Nothing is written to this container: it only holds the encoder.
            holder = self._stack.enter_context(av.open(os.devnull, "w", format="null"))
            self._encoder = self._add_encoder(holder, picture)
            self._mixer = PacketMixer(gops, encoded, open_encoder(self._encoder, gops))
            self._begin(picture)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def _begin(self, picture: av.VideoFrame) -> None:
        output = self._open_output()
        stream = output.add_stream_from_template(self._encoder)
        stream.codec_context.extradata = bytes(self._mixer.record.sets)
        self._describe(stream, display_matrix(picture))
        copies = self._stack.enter_context(self._media.open_container())
        self._mixer.connect(video_packets(copies, self._media), stream)
        self._file, self._others = output, self._add_other_streams(output)

    @property
    def stretches(self) -> Sequence[Stretch]:
        """The frames that must be written; all others are copied."""
        return self._mixer.stretches

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
