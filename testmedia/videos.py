"""Videos whose frames carry their own number."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from app.process import run_at_ordinary_priority
from app.types import Image, Size
from app.video import Writing, open_sink, open_source
from app.video.container import demux
from app.video.orientation import Orientation

NO_BOXES = np.zeros((0, 4), np.float32)
BITS = 8
ROTATED = {
    90: (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30),
    180: (-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30),
    270: (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30),
}
MIRRORED = (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)


def picture(number: int, size: Size) -> Image:
    """Return an image (h, w, 3): the bits of ``number`` as eight bars, above red and blue."""
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        left, right = width * bit // BITS, width * (bit + 1) // BITS
        pixels[: height // 2, left:right] = 220 if number >> bit & 1 else 30
    pixels[height // 2 :, : width // 2] = (200, 40, 40)
    pixels[height // 2 :, width // 2 :] = (40, 40, 200)
    return pixels


def number_of(pixels: Image) -> int:
    """Return the number in an image; fail if the image is not upright."""
    height, width = pixels.shape[:2]
    below = pixels[height * 3 // 4].astype(int)
    assert below[width // 4, 0] > below[width // 4, 2] + 60, "not upright"
    assert below[width * 3 // 4, 2] > below[width * 3 // 4, 0] + 60, "not upright"
    columns = [width * (2 * bit + 1) // (2 * BITS) for bit in range(BITS)]
    return sum(int(pixels[height // 4, x].mean() > 125) << bit for bit, x in enumerate(columns))


def coded(pixels: Image, matrix: Sequence[int] | None) -> Image:
    """Return the coded image that a display matrix turns into ``pixels``."""
    turn = Orientation.from_matrix(matrix)
    flipped = pixels[:: -1 if turn.flip_y else 1, :: -1 if turn.flip_x else 1]
    return np.ascontiguousarray(flipped.swapaxes(0, 1) if turn.transpose else flipped)


@dataclass
class VideoSpec:
    """The properties of a video to write; ``pts`` are in units of ``base`` (None: at ``rate``)."""

    size: Size = (64, 48)
    count: int = 20
    codec: str = "libx264"
    format: str = "yuv420p"
    base: Fraction = Fraction(1, 12800)
    rate: Fraction = Fraction(25)
    pts: Sequence[int] | None = None
    matrix: Sequence[int] | None = None
    aspect: Fraction | None = None
    options: dict[str, str] = field(default_factory=dict)
    colour: dict[str, int] = field(default_factory=dict)
    sounds: Sequence[tuple[str, str]] = ()
    subtitles: Sequence[tuple[str, str]] = ()
    chapters: Sequence[tuple[str, int, int]] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    second_video: bool = False
    cover: bool = False
    muxer_options: dict[str, str] = field(default_factory=dict)
    noise: int = 0
    flags: int = 0

    def times(self) -> list[int]:
        """Return the pts of the frames."""
        if self.pts is not None:
            return list(self.pts)
        step = 1 / (self.rate * self.base)
        return [round(step * number) for number in range(self.count)]

    def write(self, path: Path, muxer: str | None = None) -> Path:
        """Write the file."""
        output = av.open(
            str(path),
            "w",
            format=muxer,
            container_options={**self._timing(path), **self.muxer_options},
        )
        with output:
            video = self._add_video(output)
            others = [video] if not self.second_video else [video, self._add_video(output)]
            sounds = [self._add_sound(output, *sound) for sound in self.sounds]
            texts = [self._add_text(output, *text) for text in self.subtitles]
            if self.cover:
                others.append(self._add_cover(output))
            output.metadata.update(self.metadata)
            output.set_chapters([self._chapter(i, *c) for i, c in enumerate(self.chapters)])
            output.start_encoding()
            run_at_ordinary_priority()
            for packet in self._packets(others, sounds, texts):
                output.mux(packet)
        return path

    def _timing(self, path: Path) -> dict[str, str]:
        if path.suffix not in {".mp4", ".mov"}:
            return {}
        scale = str(self.base.denominator)
        return {"video_track_timescale": scale, "movie_timescale": scale}

    def _add_video(self, output: Any) -> Any:
        stream = output.add_stream(self.codec, rate=self.rate, options=dict(self.options))
        size = coded(picture(0, self.size), self.matrix).shape
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], self.format
        stream.codec_context.time_base = self.base
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= self.flags
        stream.time_base = self.base
        if self.aspect:
            stream.codec_context.sample_aspect_ratio = self.aspect
        for name, value in self.colour.items():
            setattr(stream.codec_context, name, value)
        stream.set_display_matrix(self.matrix)
        return stream

    def _add_sound(self, output: Any, codec: str, language: str) -> Any:
        stream = output.add_stream(codec, rate=48000)
        stream.codec_context.layout = "stereo"
        stream.metadata["language"] = language
        return stream

    def _add_text(self, output: Any, codec: str, language: str) -> Any:
        stream = output.add_stream(codec)
        stream.codec_context.subtitle_header = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
        stream.time_base = Fraction(1, 1000)
        stream.metadata["language"] = language
        return stream

    def _add_cover(self, output: Any) -> Any:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        stream.disposition = av.stream.Disposition.attached_pic
        return stream

    def _chapter(self, number: int, title: str, start: int, end: int) -> Any:
        return {
            "id": number + 1,
            "start": start,
            "end": end,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": title},
        }

    def _packets(self, videos: Sequence[Any], sounds: Sequence[Any], texts: Sequence[Any]) -> Any:
        for stream in sounds:
            yield from self._sound(stream)
        for stream in texts:
            yield from self._text(stream)
        for stream in videos:
            is_cover = stream.codec_context.name == "mjpeg" and self.cover
            yield from self._cover(stream) if is_cover else self._video(stream)

    def frames(self) -> Any:
        """Yield the frames before encoding."""
        generator = np.random.default_rng(0)
        for number, pts in enumerate(self.times()):
            drawn = picture(number, self.size)
            if self.noise:
                drawn += generator.integers(0, self.noise, drawn.shape, np.uint8)
            rgb = coded(drawn, self.matrix)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame = frame.reformat(
                format=self.format,
                dst_colorspace=self.colour.get("colorspace", 5),
                dst_color_range=self.colour.get("color_range", 1),
            )
            frame.pts, frame.time_base = pts, self.base
            yield frame

    def _video(self, stream: Any) -> Any:
        for frame in self.frames():
            yield from stream.encode(frame)
        yield from stream.encode(None)

    def _cover(self, stream: Any) -> Any:
        frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8))
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        yield from stream.encode(frame)
        yield from stream.encode(None)

    def _sound(self, stream: Any) -> Any:
        rate, length = 48000, float(self.times()[-1] * self.base)
        wave = (np.sin(np.arange(int(rate * length)) / 20) * 9000).astype(np.int16)
        context = stream.codec_context
        context.open(strict=False)
        resampler = av.AudioResampler(context.format, "stereo", rate, context.frame_size or None)
        frame = av.AudioFrame.from_ndarray(np.tile(wave, (2, 1)).T.reshape(1, -1), layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for ready in (*resampler.resample(frame), *resampler.resample(None)):
            yield from stream.encode(ready)
        yield from stream.encode(None)

    def _text(self, stream: Any) -> Any:
        for number in range(2):
            text = f"Line {number}".encode()
            name = stream.codec_context.name
            if name == "mov_text":
                text = struct.pack(">H", len(text)) + text
            if name == "ass":
                text = f"{number},0,Default,,0,0,0,,".encode() + text
            packet = av.Packet(text)
            packet.pts = packet.dts = number * 300
            packet.duration, packet.time_base = 200, Fraction(1, 1000)
            packet.stream = stream
            yield packet


def numbers(path: Path) -> list[int]:
    """Return the numbers of a video's frames, as the source decodes them."""
    return [number_of(frame.rgb()) for frame in open_source(path)]


def times(path: Path) -> list[Fraction]:
    """Return the times of a video's frames in seconds, as the source reads them."""
    source = open_source(path)
    return [frame.pts * source.info.time_base for frame in source]


def copy_video(source: Path, output: Path, **options: Any) -> Path:
    """Copy a video frame by frame, through source and sink."""
    with open_sink(source, output, Writing(**options)) as sink:
        for frame in open_source(source):
            sink.write(frame, NO_BOXES)
        sink.commit()
    return output


def payloads(path: Path, kind: str, index: int = 0) -> list[tuple[Any, ...]]:
    """Return (time, duration, bytes) of each packet in the audio or subtitle stream ``index``."""
    with av.open(str(path)) as container:
        stream = [s for s in container.streams if s.type == kind][index]
        base = stream.time_base or Fraction(1)
        return [
            (p.pts * base, (p.duration or 0) * base, bytes(p))
            for p in demux(container, stream)
            if p.size and p.pts is not None
        ]


def pixels_of(frame: Any) -> NDArray[Any]:
    """Return a copy of the first plane."""
    return np.asarray(frame.planes()[0].pixels).copy()
