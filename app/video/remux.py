"""Carrying the streams that are not film from the input to the output, packet by packet."""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Discard, Stream
from av.subtitles.stream import SubtitleStream

from app.types import MediaFile
from app.video.container import translated
from app.video.metadata import kept, spelt
from app.video.streams import Carried, StreamMap

_ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize, "
    b"PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, "
    b"StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, "
    b"MarginL, MarginR, MarginV, Encoding\nStyle: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,"
    b"0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0\n\n[Events]\nFormat: Layer, Start, End, Style, "
    b"Name, MarginL, MarginR, MarginV, Effect, Text\n"
)
EMPTY_TEXT = b"\0\0"
"""A subtitle of MP4 without words."""
_LAYOUTS = {
    "1 channels": "mono",
    "2 channels": "stereo",
    "3 channels": "2.1",
    "4 channels": "4.0",
    "5 channels": "5.0",
    "6 channels": "5.1",
    "7 channels": "6.1",
    "8 channels": "7.1",
}
_LOSSY = frozenset({"aac", "libopus"})
_BITS_PER_CHANNEL = 96000
_ASS_OVERRIDE = re.compile(r"\{[^}]*\}")
_TAG = re.compile(r"</?[^<>]+>")


@dataclass(slots=True)
class Tally:
    """What went into one output stream: to be compared with what is found in the file."""

    packets: int = 0
    size: int = 0
    checksum: int = 0

    def add(self, data: bytes) -> None:
        """Count the payload of one packet."""
        self.packets += 1
        self.size += len(data)
        self.checksum = zlib.crc32(data, self.checksum)


class Carrier:
    """Reads the input a second time and muxes everything but its film.

    ``pump`` is called as the film proceeds, so that streams are interleaved and only one packet
    waits. ``tallies`` maps indices of output streams to what was written unchanged.
    """

    def __init__(
        self,
        source: InputContainer,
        path: MediaFile,
        output: OutputContainer,
        outline: StreamMap,
        *,
        keep_location: bool,
    ) -> None:
        self._path = path
        self._output = output
        self.tallies: dict[int, Tally] = {}
        self._handlers = {
            carried.index: _handler(
                source.streams[carried.index], carried, output, path, keep_location
            )
            for carried in outline.carried
        }
        for handler in self._handlers.values():
            if isinstance(handler, _Copy):
                self.tallies[handler.target.index] = handler.tally
        for index in outline.fonts:
            _attach(source.streams[index], output)
        self._packets = self._demux(source)
        self._next = next(self._packets, None)

    def _demux(self, source: InputContainer) -> Iterator["av.Packet[Stream]"]:
        wanted = [source.streams[index] for index in self._handlers]
        for stream in source.streams:
            if stream.index not in self._handlers:
                stream.discard = Discard.all
        if wanted:
            with translated(self._path):
                yield from source.demux(wanted)

    def pump(self, until: Fraction | None) -> None:
        """Mux what comes before the time ``until`` (seconds; None: all that is left)."""
        while self._next is not None:
            packet = self._next
            time = _time(packet)
            if until is not None and time is not None and time > until:
                return
            for made in self._handlers[packet.stream.index].take(packet):
                self._output.mux_one(made)
            self._next = next(self._packets, None)


def _time(packet: "av.Packet[Stream]") -> Fraction | None:
    ticks = packet.dts if packet.dts is not None else packet.pts
    return None if ticks is None else ticks * packet.time_base


def _attach(stream: Stream, output: OutputContainer) -> None:
    if isinstance(stream, AttachmentStream):
        output.add_attachment(
            stream.name or "font", stream.mimetype or "application/octet-stream", stream.data
        )


def _handler(
    stream: Stream, carried: Carried, output: OutputContainer, path: MediaFile, keep_location: bool
) -> "_Copy | _Transcode | _Text":
    handler: _Copy | _Transcode | _Text
    if carried.action == "audio" and isinstance(stream, AudioStream):
        handler = _Transcode(stream, carried.codec, output, path)
    elif carried.action == "text" and isinstance(stream, SubtitleStream):
        handler = _Text(stream, carried.codec, output)
    else:
        handler = _Copy(stream, output)
    facts = kept(stream.metadata, keep_location=keep_location)
    handler.target.metadata.update(spelt(facts, output.format.name))
    handler.target.disposition = stream.disposition
    return handler


class _Copy:
    """Every packet as it is."""

    def __init__(self, stream: Stream, output: OutputContainer) -> None:
        self.target = output.add_stream_from_template(stream)
        self.tally = Tally()
        if isinstance(stream, AudioStream) and stream.codec_context.layout.name in _LAYOUTS:
            # PCM in MP4 must say which channel is which.
            layout = _LAYOUTS[stream.codec_context.layout.name]
            cast("AudioStream", self.target).codec_context.layout = layout

    def take(self, packet: "av.Packet[Stream]") -> Iterator["av.Packet[Stream]"]:
        data = bytes(packet)
        # The muxer fills the time between subtitles with empty ones, and does it again.
        if packet.size and data != EMPTY_TEXT:
            self.tally.add(data)
            packet.stream = self.target
            yield packet


class _Transcode:
    """Sound in another codec, with the same start and no gap."""

    def __init__(
        self, stream: AudioStream, encoder: str, output: OutputContainer, path: MediaFile
    ) -> None:
        context = stream.codec_context
        self._source, self._path = stream, path
        rates = Codec(encoder, "w").audio_rates
        self._rate = context.sample_rate
        if rates and self._rate not in rates:
            self._rate = 48000
        self.target: Stream = output.add_stream(encoder, rate=self._rate)
        self._encoder = cast("AudioStream", self.target)
        # AVI and WAV tell the number of channels only.
        self._layout = _LAYOUTS.get(context.layout.name, context.layout.name)
        self._encoder.codec_context.layout = self._layout
        if encoder in _LOSSY:
            self._encoder.codec_context.bit_rate = _BITS_PER_CHANNEL * max(1, context.channels)
        self._resampler: AudioResampler | None = None

    def take(self, packet: "av.Packet[Stream]") -> "Iterator[av.Packet[AudioStream]]":
        with translated(self._path):
            frames = self._source.decode(cast("av.Packet[AudioStream]", packet))
        for frame in frames:
            yield from self._encode(frame)
        if not packet.size:
            yield from self._encode(None)
            yield from self._encoder.encode(None)

    def _encode(self, frame: av.AudioFrame | None) -> "Iterator[av.Packet[AudioStream]]":
        for ready in self._resample(frame):
            for packet in self._encoder.encode(ready):
                yield cast("av.Packet[AudioStream]", packet)

    def _resample(self, frame: av.AudioFrame | None) -> list[av.AudioFrame]:
        context = self._encoder.codec_context
        if self._resampler is None:
            # The size of its frames is known only when it is open.
            context.open(strict=False)
            self._resampler = AudioResampler(
                context.format, self._layout, self._rate, context.frame_size or None
            )
        return self._resampler.resample(frame)


class _Text:
    """Subtitles as plain text in the form that the container wants; styles are lost."""

    def __init__(self, stream: SubtitleStream, codec: str, output: OutputContainer) -> None:
        self._from = stream.codec_context.codec.canonical_name
        self._to = codec
        self.target: Stream = output.add_stream(codec)
        cast("SubtitleStream", self.target).codec_context.subtitle_header = _ASS_HEADER
        self.target.time_base = stream.time_base

    def take(self, packet: "av.Packet[Stream]") -> "Iterator[av.Packet[Stream]]":
        text = plain_text(bytes(packet), self._from) if packet.size else ""
        if text:
            data = text.encode()
            if self._to == "mov_text":
                data = struct.pack(">H", len(data)) + data
            made: av.Packet[Stream] = av.Packet(data)
            made.time_base = packet.time_base
            made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
            made.stream = self.target
            yield made


def plain_text(data: bytes, codec: str) -> str:
    r"""The words of one subtitle packet.

    >>> plain_text(b"0,0,Default,,0,0,0,,{\\i1}Hello\\Nyou", "ass")
    'Hello\nyou'
    >>> plain_text(b"\x00\x02Hi", "mov_text"), plain_text(b"<i>Hi</i>", "subrip")
    ('Hi', 'Hi')
    """
    if codec == "mov_text":
        length = int.from_bytes(data[:2], "big")
        return data[2 : 2 + length].decode("utf-8", "replace")
    text = data.decode("utf-8", "replace")
    if codec == "ass":
        words = text.split(",", 8)[-1]
        return _ASS_OVERRIDE.sub("", words).replace("\\N", "\n").replace("\\n", "\n")
    return _TAG.sub("", text).strip()
