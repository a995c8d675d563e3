"""Compare presets of an encoder: CPU time, bytes, PSNR and SSIM at several rate factors.

    python -m bench.presets [VIDEO...] [--encoder libx264] [--try PRESET:CRF[,CRF...]]...

Without videos, these are a made one of 1920 x 1080 with two people, one of 1280 x 720 with fast
motion, the man in the car, and a music video with many cuts. The first of ``--try`` is the
reference of the ratios. The filters ``psnr`` and ``ssim`` of FFmpeg measure the quality against the
decoded input.
"""

import argparse
import io
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.stream import VideoStream

from bench.long_video import make
from testmedia.clip import write_clip
from testmedia.fetch import fetch
from testmedia.scenes import SCENES

FRAMES = 60
"""Frames of each video: more than the 40 that x264 looks ahead at most."""
TRIALS = ("faster:17", "veryfast:15,16", "medium:18")
_PEAK, _TICK = 255**2, Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class Trial:
    """One video in one encoding; seconds of CPU, PSNR in dB of all planes, SSIM 0 to 1."""

    cpu: float
    size: int
    psnr: float
    ssim: float


def read(path: Path, frames: int) -> tuple[list[av.VideoFrame], Fraction]:
    """Return the first frames of a video in 4:2:0, and its frame rate."""
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate or Fraction(25)
        decoded = islice(container.decode(video=0), frames)
        return [frame.reformat(format="yuv420p") for frame in decoded], rate


def encode(
    frames: Sequence[av.VideoFrame], rate: Fraction, encoder: str, options: dict[str, str]
) -> tuple[float, bytes]:
    """Return seconds of CPU and the file."""
    file, begin = io.BytesIO(), time.process_time()
    with av.open(file, "w", format="matroska") as sink:
        stream = sink.add_stream(encoder, rate, options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base, frame.pict_type = number, 1 / rate, 0
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    return time.process_time() - begin, file.getvalue()


def similarity(frames: Sequence[av.VideoFrame], file: bytes, name: str, key: str) -> float:
    """Return the mean of one number that a filter measures for each frame."""
    with av.open(io.BytesIO(file)) as container:
        assert isinstance(container, InputContainer)
        graph = Graph()
        width, height = frames[0].width, frames[0].height
        inputs = [
            graph.add_buffer(None, width, height, VideoFormat("yuv420p"), time_base=_TICK)
            for _ in range(2)
        ]
        compare, end = graph.add(name), graph.add("buffersink")
        inputs[0].link_to(compare, 0, 0)
        inputs[1].link_to(compare, 0, 1)
        compare.link_to(end)
        graph.configure()
        found = []
        for number, (one, other) in enumerate(zip(frames, container.decode(video=0), strict=True)):
            for source, frame in zip(inputs, (other, one), strict=True):
                frame.pts, frame.time_base = number, _TICK
                source.push(frame)
            found.append(float(end.pull().metadata[key]))
    return sum(found) / len(found)


def measure(
    frames: Sequence[av.VideoFrame], rate: Fraction, encoder: str, preset: str, factor: str
) -> Trial:
    """Encode one video in one way, and compare it with the input."""
    cpu, file = encode(frames, rate, encoder, {"preset": preset, "crf": factor})
    error = similarity(frames, file, "psnr", "lavfi.psnr.mse_avg")
    ssim = similarity(frames, file, "ssim", "lavfi.ssim.All")
    return Trial(cpu, len(file), 10 * math.log10(_PEAK / max(error, 1e-9)), ssim)


def videos(folder: Path) -> list[Path]:
    """Make or fetch the four videos."""
    made = make(FRAMES, folder / "two people.mp4").path
    sport = write_clip(SCENES["sport"](), folder / "sport.mp4").path
    return [made, sport, fetch("carphone.mp4"), fetch("music.mp4")]


def main() -> int:
    """Print a table for each video."""
    parser = argparse.ArgumentParser(description="Compare presets of an encoder.")
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO")
    parser.add_argument("--encoder", default="libx264")
    parser.add_argument("--try", action="append", dest="trials", metavar="PRESET:CRF[,CRF...]")
    arguments = parser.parse_args()
    ways = [
        (preset, factor)
        for text in arguments.trials or TRIALS
        for preset, factors in [text.split(":")]
        for factor in factors.split(",")
    ]
    print("| video | preset | CRF | ms/frame | bytes | ratio | PSNR dB | SSIM |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as name:
        for path in arguments.videos or videos(Path(name)):
            frames, rate = read(path, FRAMES)
            base = 0
            for preset, factor in ways:
                found = measure(frames, rate, arguments.encoder, preset, factor)
                base = base or found.size
                print(
                    f"| {path.stem} | {preset} | {factor} | {1000 * found.cpu / len(frames):.1f}"
                    f" | {found.size} | {found.size / base:.2f} | {found.psnr:.2f}"
                    f" | {found.ssim:.4f} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
