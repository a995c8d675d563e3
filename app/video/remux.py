"""Carry the streams beside the video from the input to the output, packet by packet."""

import re
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import cast

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Discard, Stream
from av.subtitles.stream import SubtitleStream

from app.errors import MediaError, OutputError
from app.video.clocks import move
from app.video.container import translated
from app.video.copying import LAYOUTS, CopyStream
from app.video.file_check import PacketTally
from app.video.fonts import rebuilt_font
from app.video.hidden_data import holds_data
from app.video.media import Media
from app.video.metadata import kept_tags, tags_for_muxer
from app.video.salvage import read_packets
from app.video.streams import CarriedStream, StreamMap
from app.video.window import seconds_of, windowed_packets

_ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize, "
    b"PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, "
    b"StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, "
    b"MarginL, MarginR, MarginV, Encoding\nStyle: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,"
    b"0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0\n\n[Events]\nFormat: Layer, Start, End, Style, "
    b"Name, MarginL, MarginR, MarginV, Effect, Text\n"
)
_FONT_MIME = "application/x-truetype-font"
"""The type that all programs take for a font, also one with other outlines."""
_LOSSY = frozenset({"aac", "libopus"})
_BITS_PER_CHANNEL = 96000
"""Bit rate of lossy codecs, per second and channel."""
_FALLBACK_RATE = 48000
"""Samples per second if the encoder does not support those of the source."""
_LATEST_SOUND = 3600
"""Seconds of silence that are written at most before the first sound in AVI."""
_NO_SHIFT = Fraction(0)
_ASS_OVERRIDE = re.compile(r"\{[^}]*\}")
_TAG = re.compile(r"</?[^<>]+>")


class Carrier:
    """Reads the input and writes all its streams except video.

    ``write_until`` is called while the video is written, so that the streams are interleaved and
    only one packet waits. ``tallies`` counts the packets of copied streams, by the index of the
    stream in the output.

    Args:
        source: the container of ``media``.
        media: the input.
        output: the container of the output.
        streams: which streams are copied, and which are converted.
        keep_location: keep locations and devices in the metadata of streams.
        shift: seconds that are added to all times.
        packets: those to write; default: all of the input.
    """

    def __init__(
        self,
        source: InputContainer,
        media: Media,
        output: OutputContainer,
        streams: StreamMap,
        *,
        keep_location: bool,
        shift: Fraction = _NO_SHIFT,
        packets: "Iterator[av.Packet[Stream]] | None" = None,
    ) -> None:
        self._media, self._shift = media, shift
        self._output = output
        self.tallies: dict[int, PacketTally] = {}
        self._handlers = {
            carried.index: _add_stream(
                source.streams[carried.index], carried, output, media, keep_location=keep_location
            )
            for carried in streams.carried
        }
        for handler in self._handlers.values():
            if isinstance(handler, CopyStream):
                self.tallies[handler.target.index] = handler.tally
        for index in streams.fonts:
            _attach(source.streams[index], output)
        self._packets = _demux(source, media, [*self._handlers]) if packets is None else packets
        self._next = next(self._packets, None)

    def write_until(self, until: Fraction | None) -> None:
        """Write the packets before a time in seconds; None: all that remain."""
        while self._next is not None:
            packet = self._next
            time = _time(packet)
            if until is not None and time is not None and time > until:
                return
            move(packet, self._shift)
            for ready in self._handlers[packet.stream.index].process(packet):
                self._output.mux_one(ready)
            self._next = next(self._packets, None)


def _demux(
    source: InputContainer, media: Media, indices: Sequence[int]
) -> Iterator["av.Packet[Stream]"]:
    """Yield the packets of some streams, without keeping the ``Carrier``, which keeps this."""
    for stream in source.streams:
        if stream.index not in indices:
            stream.discard = Discard.all
    if not indices:
        return
    first: Fraction | None = None
    packets = read_packets(source, media, *(source.streams[index] for index in indices))
    bounds = seconds_of(media)
    if bounds is not None:
        source.seek(int(bounds[0] * av.time_base))
        packets = windowed_packets(packets, *bounds)
    for packet in packets:
        time = _time(packet)
        if time is not None:
            first = time if first is None else first
            media.check_length(time - first)
        yield packet


def _time(packet: "av.Packet[Stream]") -> Fraction | None:
    ticks = packet.dts if packet.dts is not None else packet.pts
    return None if ticks is None else ticks * packet.time_base


def _attach(stream: Stream, output: OutputContainer) -> None:
    if not isinstance(stream, AttachmentStream):
        return
    font, name = rebuilt_font(stream.data), (stream.name or "").rpartition("/")[2]
    if font is not None:
        # Programs find a font by the names inside it.
        safe = name if name and not holds_data(name) else f"font-{stream.index}"
        output.add_attachment(safe, _FONT_MIME, font)


def _add_stream(
    stream: Stream,
    carried: CarriedStream,
    output: OutputContainer,
    media: Media,
    *,
    keep_location: bool,
) -> "CopyStream | _ConvertAudio | _ConvertText":
    """Add a stream to the output and return the handler of its packets."""
    handler: CopyStream | _ConvertAudio | _ConvertText
    if carried.action == "audio" and isinstance(stream, AudioStream):
        handler = _ConvertAudio(stream, carried.codec, output, media)
    elif carried.action == "text" and isinstance(stream, SubtitleStream):
        handler = _ConvertText(stream, carried.codec, output)
    else:
        handler = CopyStream(stream, carried, output)
    tags = kept_tags(stream.metadata, keep_location=keep_location)
    handler.target.metadata.update(tags_for_muxer(tags, output.format.name))
    handler.target.disposition = stream.disposition
    return handler


class _ConvertAudio:
    """Converts audio to another codec, with the same start and without gaps."""

    def __init__(
        self, stream: AudioStream, encoder: str, output: OutputContainer, media: Media
    ) -> None:
        context = stream.codec_context
        if context.format is None or not context.channels or not context.sample_rate:
            raise MediaError(
                f"{media}: the sound in stream {stream.index} cannot be decoded; repair the file, "
                f"or leave it out (--drop-stream {stream.index})"
            )
        self._source, self._media = stream, media
        rates = Codec(encoder, "w").audio_rates
        self._rate = context.sample_rate
        if rates and self._rate not in rates:
            self._rate = _FALLBACK_RATE
        self.target: Stream = output.add_stream(encoder, rate=self._rate)
        self._encoder = cast("AudioStream", self.target)
        # AVI and WAV store only the number of channels.
        self._layout = LAYOUTS.get(context.layout.name, context.layout.name)
        self._encoder.codec_context.layout = self._layout
        if encoder in _LOSSY:
            self._encoder.codec_context.bit_rate = _BITS_PER_CHANNEL * max(1, context.channels)
        if encoder == "flac" and context.format.name.startswith("s32"):
            # The default of 16 bits would reduce sound of 24 bits.
            self._encoder.codec_context.format = "s32"
        self._resampler: AudioResampler | None = None
        self._end: Fraction | None = None
        # AVI counts sound from its first sample.
        self._begins_at_zero = output.format.name == "avi"

    def process(self, packet: "av.Packet[Stream]") -> "Iterator[av.Packet[AudioStream]]":
        with translated(self._media):
            frames = self._source.decode(cast("av.Packet[AudioStream]", packet))
        for frame in frames:
            begins = self._end is None
            self._set_time(frame)
            if begins and self._begins_at_zero:
                for silent in _silence_before(frame):
                    yield from self._encode(silent)
            yield from self._encode(frame)
        if not packet.size:
            yield from self._encode(None)
            yield from self._encoder.encode(None)

    def _set_time(self, frame: av.AudioFrame) -> None:
        """Give a frame its time in samples: at the end of the one before it, unless there is a gap.

        Clocks of containers are coarser than samples, and the last frame of WMA has no time.
        """
        rate, tick = frame.sample_rate, Fraction(frame.time_base or 0)
        time = None if frame.pts is None else frame.pts * tick
        if self._end is not None and (time is None or abs(time - self._end) <= tick):
            time = self._end
        frame.time_base, frame.pts = Fraction(1, rate), None if time is None else round(time * rate)
        if time is not None:
            self._end = time + Fraction(frame.samples, rate)

    def _encode(self, frame: av.AudioFrame | None) -> "Iterator[av.Packet[AudioStream]]":
        for ready in self._resample(frame):
            for packet in self._encoder.encode(ready):
                yield cast("av.Packet[AudioStream]", packet)

    def _resample(self, frame: av.AudioFrame | None) -> list[av.AudioFrame]:
        context = self._encoder.codec_context
        if self._resampler is None:
            # The frame size of the encoder is known only after it has been opened.
            context.open(strict=False)
            self._resampler = AudioResampler(
                context.format, self._layout, self._rate, context.frame_size or None
            )
        return self._resampler.resample(frame)


def _silence_before(frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
    """Yield silence from zero to the time of a frame, which counts samples, second by second."""
    rate, end = frame.sample_rate, frame.pts or 0
    if end > _LATEST_SOUND * rate:
        raise OutputError(f"AVI: sound begins {end // rate} s late; write to .mkv")
    for start in range(0, end, rate):
        silent = av.AudioFrame(frame.format.name, frame.layout.name, min(rate, end - start))
        silent.sample_rate, silent.pts, silent.time_base = rate, start, Fraction(1, rate)
        middle = b"\x80" if frame.format.name.startswith("u8") else b"\0"
        for plane in silent.planes:
            plane.update(middle * plane.buffer_size)
        yield silent


class _ConvertText:
    """Converts subtitles to plain text in the form of the container; styles are lost."""

    def __init__(self, stream: SubtitleStream, codec: str, output: OutputContainer) -> None:
        self._source_codec = stream.codec_context.codec.canonical_name
        self._target_codec = codec
        self.target: Stream = output.add_stream(codec)
        cast("SubtitleStream", self.target).codec_context.subtitle_header = _ASS_HEADER
        self.target.time_base = stream.time_base

    def process(self, packet: "av.Packet[Stream]") -> "Iterator[av.Packet[Stream]]":
        text = plain_text(bytes(packet), self._source_codec) if packet.size else ""
        if text:
            data = text.encode()
            if self._target_codec == "mov_text":
                data = struct.pack(">H", len(data)) + data
            converted: av.Packet[Stream] = av.Packet(data)
            converted.time_base = packet.time_base
            converted.pts, converted.dts = packet.pts, packet.dts
            converted.duration = packet.duration
            converted.stream = self.target
            yield converted


def plain_text(data: bytes, codec: str) -> str:
    r"""Return the text of one subtitle packet, without styles.

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
