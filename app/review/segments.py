"""Segments of a video for the player in the page: small, made on demand, and never on a disk.

Browsers play neither HEVC, MXF, ProRes nor AVI, and jump slowly in long groups of pictures. So each
segment of some seconds is decoded, hidden as the result will be, scaled and encoded when the page
asks for it. After an edit only the segments that look different get another key.
"""

import hashlib
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from app.pipeline.rendering import Hiding
from app.plan import Plan
from app.review.pictures import hidden_frames, shown_size
from app.video.random_access import FrameReader

LINES = 540
"""Most lines of a segment: enough to judge a face, at a quarter of the cost of 1080."""
SECONDS = Fraction(2)
"""Length of a segment: one of 1080 lines is made in less time than it plays."""
MAX_FRAMES = 250
"""Most frames of a segment, for videos with extreme rates."""
MIME = 'video/mp4; codecs="avc1.42c028"'
"""Constrained baseline profile, level 4.0: every browser with H.264 plays it."""
_OPTIONS = {
    "preset": "ultrafast",
    "tune": "zerolatency",
    "profile": "baseline",
    "level": "4.0",
    "crf": "20",
    "bf": "0",
}
"""Each segment decodes alone and in the order of its frames, so times need no shift."""


def bounds_of(pts: NDArray[np.int64], base: Fraction) -> list[int]:
    """Return the first frame of each segment, and the number of frames."""
    bounds, length = [0], math.ceil(SECONDS / base)
    while bounds[-1] < len(pts):
        first = bounds[-1]
        end = int(np.searchsorted(pts, pts[first] + length))
        bounds.append(min(max(end, first + 1), first + MAX_FRAMES, len(pts)))
    return bounds


def keys_of(plan: Plan, bounds: Sequence[int]) -> list[str]:
    """Return a key for each segment, which changes with the regions that are hidden in it."""
    starts = np.asarray(bounds[:-1])
    hashes = [hashlib.blake2b(digest_size=8) for _ in starts]
    for track in plan.tracks:
        if track.decision == "blur":
            low = int(np.searchsorted(starts, track.first, "right")) - 1
            high = int(np.searchsorted(starts, track.last, "right"))
            for number in range(low, high):
                first = max(track.first, bounds[number]) - track.first
                end = min(track.last + 1, bounds[number + 1]) - track.first
                hashes[number].update(track.boxes[first:end].tobytes())
    return [one.hexdigest() for one in hashes]


@dataclass(frozen=True, slots=True)
class SegmentMaker:
    """Makes segments of one video."""

    reader: FrameReader
    hiding: Hiding

    def make(self, plan: Plan | None, stretch: tuple[int, int]) -> bytes:
        """Return the frames of a stretch, both ends inclusive, as a fragmented MP4.

        The first frame has the time 0. Without a plan nothing is hidden.

        Raises:
            MediaError: a frame cannot be decoded.
        """
        file = io.BytesIO()
        flags = {"movflags": "empty_moov+default_base_moof+frag_keyframe"}
        with av.open(file, "w", format="mp4", options=flags) as output:
            stream: av.video.stream.VideoStream | None = None
            durations = iter(self._durations(*stretch))
            start = int(self.reader.pts[stretch[0]])
            for frame in hidden_frames(self.reader, plan, self.hiding, stretch):
                size = shown_size(frame, LINES)
                picture = av.VideoFrame.from_ndarray(frame.rgb(size), format="rgb24")
                stream = stream or self._add_stream(output, *size)
                picture.pts, picture.time_base = frame.pts - start, self.reader.info.time_base
                picture.duration = next(durations)
                output.mux(stream.encode(picture))
            if stream is not None:
                output.mux(stream.encode(None))
        return file.getvalue()

    def _durations(self, first: int, last: int) -> Iterator[int]:
        """Yield the time from each frame to the next, in units of the source's time base."""
        pts = self.reader.pts
        for number in range(first, last + 1):
            if number + 1 < len(pts):
                yield int(pts[number + 1] - pts[number])
            else:
                yield max(1, round(1 / self.reader.info.rate / self.reader.info.time_base))

    def _add_stream(
        self, output: "av.container.OutputContainer", width: int, height: int
    ) -> "av.video.stream.VideoStream":
        stream = output.add_stream("libx264", rate=self.reader.info.rate, options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = stream.time_base = self.reader.info.time_base
        stream.codec_context.gop_size = MAX_FRAMES + 1
        output.start_encoding()
        return stream
