"""The options for writing an output."""

import math
from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.video.stream import VideoStream

from app.video.encodings import Encoder, Preset


@dataclass(frozen=True, slots=True)
class Writing:
    """The options for writing one output.

    Attributes:
        overwrite: replace an output that exists.
        quality: 1 to 100; 90 is visually lossless.
        preset: the time that x264 and x265 take; quality means the same with each.
        encoder: ``nvenc`` or ``auto`` for the encoder of a GPU.
        threads: of the encoder; default: the CPUs that this process may use.
        keep_location: keep locations and devices in the metadata.
        copy_untouched: copy groups of pictures in which nothing is hidden, where that is safe.
        drop: streams to leave out, by index or type (see ``streams.Dropped``).
        gop_seconds: the longest duration of an encoded group of pictures (default: ten seconds, or
            that of the source where groups are copied).

    Raises:
        ValueError: ``quality`` or ``gop_seconds`` is out of range.
    """

    overwrite: bool = False
    quality: int = 90
    preset: Preset = "veryfast"
    encoder: Encoder = "software"
    threads: int | None = None
    keep_location: bool = False
    copy_untouched: bool = False
    drop: tuple[str, ...] = ()
    gop_seconds: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality must be 1..100, got {self.quality}")
        if self.gop_seconds is not None and self.gop_seconds < 1:
            raise ValueError(f"gop_seconds must be at least 1, got {self.gop_seconds}")


def muxer_options(muxer: str, source: InputContainer, video: VideoStream) -> dict[str, str]:
    """Return options of a muxer: the index in front, and time bases that hold all times exactly.

    Args:
        muxer: the container of the output.
        source: the container of the input.
        video: its video.
    """
    if muxer not in {"mp4", "mov"}:
        return {}
    base = Fraction(video.time_base or 1)
    options = {
        "movflags": "+faststart",
        "video_track_timescale": str(base.denominator),
        "strict": "experimental",
    }
    if any(stream.start_time for stream in source.streams):
        # Edit lists, which hold late starts, count in units of the movie, not of the track.
        rates = [Fraction(stream.time_base or 1).denominator for stream in source.streams.audio]
        common = math.lcm(base.denominator, *rates)
        options["movie_timescale"] = str(common if common < 1 << 31 else base.denominator)
    return options
