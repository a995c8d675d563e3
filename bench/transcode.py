"""A plain transcode: decode and encode every frame, and copy the sound.

    python -m bench.transcode IN OUT [--quality 90] [--preset PRESET] [--gop FRAMES] [--defaults]

Encoder, options and pixel format are those of Face blur for the same file, so that the difference
is the cost of Face blur. With ``--defaults`` the encoder has its own defaults, as with
``ffmpeg -i IN OUT``.
"""

import argparse
import sys
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from app.video.encoder import encoder_options
from app.video.encodings import choose_encoding


def add_video(
    sink: OutputContainer, source: VideoStream, frame: av.VideoFrame, options: dict[str, str]
) -> VideoStream:
    """Add the video stream that Face blur would write for this source."""
    context = source.codec_context
    size = (context.width, context.height)
    encoding = choose_encoding(context.name, sink.format.name, str(context.pix_fmt), size)
    rate = source.average_rate or Fraction(25)
    quality = options.pop("quality", None)
    ours = {} if quality is None else encoder_options(encoding.encoder, int(quality), frame)
    settings = ours | options
    coded = sink.add_stream(encoding.encoder, rate, options=settings)
    if not isinstance(coded, VideoStream):
        raise TypeError(f"{encoding.encoder} is not a video encoder")
    coded.width, coded.height = size
    coded.pix_fmt = encoding.pixel_format
    if frame.time_base is not None:
        coded.codec_context.time_base = frame.time_base
    coded.codec_context.thread_type = "AUTO"
    return coded


def first_frame(source: Path) -> av.VideoFrame:
    """Return the first frame of a file, which alone has all its light and colour properties."""
    with av.open(str(source)) as container:
        return next(container.decode(container.streams.video[0]))


def transcode(source: Path, output: Path, options: dict[str, str]) -> int:
    """Transcode a file; return the number of frames."""
    frames = 0
    with av.open(str(source)) as container, av.open(str(output), "w") as sink:
        video = container.streams.video[0]
        video.thread_type = "AUTO"
        sound = {s.index: sink.add_stream_from_template(s) for s in container.streams.audio}
        coded = add_video(sink, video, first_frame(source), options)
        for packet in container.demux([video, *container.streams.audio]):
            if packet.stream.index in sound:
                if packet.dts is not None:
                    packet.stream = sound[packet.stream.index]
                    sink.mux(packet)
                continue
            for frame in video.decode(packet):
                frame.pict_type = PictureType.NONE
                sink.mux(coded.encode(frame))
                frames += 1
        sink.mux(coded.encode(None))
    return frames


def main() -> int:
    """Transcode the file of the command line."""
    parser = argparse.ArgumentParser(description="Transcode a video without any other change.")
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--quality", type=int, default=90)
    parser.add_argument("--preset", help="encoder preset (default: that of Face blur)")
    parser.add_argument("--gop", type=int, help="most frames of a GOP (default: x264's 250)")
    parser.add_argument("--defaults", action="store_true", help="the encoder's own defaults")
    arguments = parser.parse_args()
    options = {} if arguments.defaults else {"quality": str(arguments.quality)}
    if arguments.gop:
        options["g"] = str(arguments.gop)
    if arguments.preset:
        options["preset"] = arguments.preset
    print(transcode(arguments.source, arguments.output, options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
