"""Prove before any work that a container can hold the streams of an input.

Tables of codecs are not enough: a muxer may refuse a rate, a tag or the times of packets, and says
so only while it writes. So the first packets of each stream are written to memory and read again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.reformatter import VideoReformatter

from app.errors import FaceBlurError, MediaError, OutputError
from app.video.clocks import move
from app.video.container import (
    demux,
    demuxer_of,
    frame_rate,
    last_packet,
    main_video,
    media_reason,
    open_stream,
    with_data,
)
from app.video.encoder import FrameConverter, add_encoder
from app.video.encodings import Encoding
from app.video.file_check import PacketTally, check_copies
from app.video.header import first_frame, header_of
from app.video.media import Media
from app.video.remux import Carrier
from app.video.streams import StreamMap, copied_form
from app.video.writing import Writing, muxer_options

_PACKETS = 64
"""Packets of each stream that are written: about a second of sound, enough to see its speed."""
_LOOKED_AT = 2000
"""Packets that are read to find them: about 20 s of a film. A stream that begins later is proven
by its header alone."""
_REFUSALS = (av.error.FFmpegError, ValueError)
"""Errors of a muxer, and of the binding that knows what it takes."""
_SPEED = Fraction(1, 200)
"""Tolerated difference in speed. A muxer of AVI that does not know how long a packet is takes 1 %
to 200 % more."""
_ROUNDING = Fraction(3, 1000)
"""Seconds by which the distance of first and last packet may differ: clocks are coarse."""
_Span = tuple[int, Fraction]
_CARRIED = frozenset({"audio", "subtitle"})
_NO_VIDEO = Encoding("libx264", "yuv420p")
"""Stands for the video in a trial that writes none."""


def copyable(media: Media, muxer: str) -> frozenset[int]:
    """Return the audio and subtitle streams whose packets ``muxer`` can hold as they are.

    The packets of each stream are written alone. The result is found once for each muxer.

    Raises:
        MediaError: the container of ``media`` is damaged.
    """
    known = media.fact(_no_trials)
    if muxer not in known:
        known[muxer] = frozenset(_held(media, muxer))
    return known[muxer]


def check_together(media: Media, output: Path, streams: StreamMap) -> None:
    """Write the first frame and the first packets of all carried streams, and read them again.

    Nothing is written to ``output``, which only names the result in messages.

    Raises:
        OutputError: the container cannot hold them, or an encoder cannot make them.
        MediaError: ``media`` is damaged.
    """
    picture = header_of(media).frame_format.converted(first_frame(media), VideoReformatter())
    with media.open_facts() as container:
        packets = _first_packets(container, {one.index for one in streams.carried})
        trial = _Trial(container, media, streams)
        try:
            trial.add_video(picture)
            trial.write(packets)
        except _REFUSALS as error:
            is_known = isinstance(error, av.error.FFmpegError)
            reason = media_reason(error) if is_known else "their formats do not fit"
            raise _impossible(output, reason) from error
        try:
            trial.check()
        except (*_REFUSALS, MediaError) as error:
            raise _impossible(output, "packets are lost") from error


def _impossible(output: Path, reason: str) -> OutputError:
    return OutputError(
        f"{output}: {output.suffix} cannot hold this video and its streams ({reason}); write to "
        ".mkv, or drop streams (--drop-stream)"
    )


def _no_trials(_media: Media) -> dict[str, frozenset[int]]:
    """Return the results of the trials of one file, by muxer: none so far."""
    return {}


def _held(media: Media, muxer: str) -> Iterator[int]:
    with media.open_facts() as container:
        candidates = [stream for stream in container.streams if stream.type in _CARRIED]
        packets = _first_packets(container, {stream.index for stream in candidates})
        for stream in candidates:
            carried = copied_form(stream)
            if carried is None:
                continue
            trial = _Trial(container, media, StreamMap(muxer, _NO_VIDEO, (carried,), (), ()))
            with suppress(*_REFUSALS, FaceBlurError):
                trial.write([one for one in packets if one.stream.index == stream.index])
                trial.check()
                yield stream.index


def _first_packets(container: InputContainer, wanted: Collection[int]) -> "list[Packet[Stream]]":
    """Return the first packets of some streams that are not hidden, in the order of the file."""
    found: list[Packet[Stream]] = []
    missing = dict.fromkeys(wanted, _PACKETS)
    with suppress(av.error.FFmpegError):  # damage is reported when the file is decoded
        for number, packet in enumerate(demux(container, *container.streams)):
            if number >= _LOOKED_AT or not any(missing.values()):
                break
            if missing.get(packet.stream.index) and packet.size and not packet.is_discard:
                missing[packet.stream.index] -= 1
                found.append(packet)
    return found


def _spans(packets: "Sequence[Packet[Stream]]") -> defaultdict[int, _Span]:
    """Return the number of packets of each stream, and the seconds from its first to its last."""
    times: defaultdict[int, list[Fraction]] = defaultdict(list)
    for packet in packets:
        if packet.dts is not None:
            times[packet.stream.index].append(packet.dts * Fraction(packet.time_base))
    spans = {index: (len(t), max(t) - min(t)) for index, t in times.items()}
    return defaultdict(lambda: (0, Fraction(0)), spans)


class _Trial:
    """One file in memory: the streams of ``streams`` from the open container of ``media``."""

    def __init__(self, container: InputContainer, media: Media, streams: StreamMap) -> None:
        self._container, self._media, self._streams = container, media, streams
        self._buffer = BytesIO()
        video = main_video(container, media)
        # The index cannot be moved to the front: memory is not read while it is written.
        options = muxer_options(streams.muxer, container, video)
        options.pop("movflags", None)
        self._output: OutputContainer = av.open(
            self._buffer,
            "w",
            format=streams.muxer,
            container_options=options,
            metadata_errors="surrogateescape",
        )
        self._first: Iterator[Packet[Stream]] = iter(())
        self._tallies: dict[int, PacketTally] = {}
        self._spans: dict[int, _Span] = {}

    def add_video(self, picture: av.VideoFrame) -> None:
        """Add the video, and encode its first frame."""
        video, encoding = main_video(self._container, self._media), self._streams.encoding
        stream = add_encoder(
            self._output,
            video,
            picture,
            encoding,
            rate=frame_rate(video),
            quality=Writing().quality,
            preset=Writing().preset,
            threads=1,
        )
        ready = FrameConverter(encoding).convert(picture, 0)
        self._first = cast(
            "Iterator[Packet[Stream]]",
            (packet for one in (ready, None) for packet in stream.encode_lazy(one)),
        )

    def write(self, packets: "Sequence[Packet[Stream]]") -> None:
        """Write copies of packets of the input, and finish the file."""
        carrier = Carrier(
            self._container,
            self._media,
            self._output,
            self._streams,
            keep_location=False,
            packets=self._copies(packets),
        )
        for packet in self._first:
            self._output.mux_one(packet)
        self._output.start_encoding()
        carrier.write_until(None)
        self._output.close()
        self._tallies = carrier.tallies
        spans = _spans(packets)
        copied = [one.index for one in self._streams.carried if one.action == "copy"]
        self._spans = {
            target: spans[index] for index, target in zip(copied, self._tallies, strict=True)
        }

    def _copies(self, packets: "Sequence[Packet[Stream]]") -> "Iterator[Packet[Stream]]":
        times = [packet.dts * packet.time_base for packet in packets if packet.dts is not None]
        start = min(times, default=Fraction(0))
        for packet in packets:
            copy = with_data(packet, bytes(packet))
            copy.stream = packet.stream
            # Packets before zero would be hidden by an edit list.
            move(copy, -start)
            yield copy
        for carried in self._streams.carried:
            yield last_packet(self._container.streams[carried.index])

    def check(self) -> None:
        """Read the file again.

        Raises:
            MediaError: packets of copied streams are missing, or they are slower or faster.
        """
        self._buffer.seek(0)
        with open_stream(self._buffer, demuxer_of(self._streams.muxer), "trial") as container:
            packets = [packet for packet in demux(container, *container.streams) if packet.size]
            check_copies(packets, self._tallies, "trial")
            # A muxer may write packets that no demuxer knows again, or leave out an empty stream.
            found = {one.index for one in container.streams if one.codec_context is not None}
            if not found.issuperset(self._tallies):
                raise MediaError("trial: a stream cannot be recognised again")
            spans = _spans(packets)
        for index, (count, expected) in self._spans.items():
            # PCM may be divided anew.
            is_slower = abs(spans[index][1] - expected) > expected * _SPEED + _ROUNDING
            if is_slower and spans[index][0] == count:
                raise MediaError(f"trial: the times of stream {index} have changed")
