"""Read any frames of a video by their numbers, for a player that jumps back and forth."""

from collections.abc import Iterator

import av
import numpy as np
from av.packet import Packet
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from app.errors import MediaError
from app.types import Frame
from app.video.container import discard_others, main_video
from app.video.decoding import prepared
from app.video.frame import Converters, DecodedFrame
from app.video.header import header_of
from app.video.media import Media
from app.video.opening import open_source
from app.video.pixel_aspect import PixelAspects
from app.video.salvage import read_packets
from app.video.slots import has_slots
from app.video.window import windowed_frames

Pts = NDArray[np.int64]


class FrameReader:
    """Reads frames by their numbers; several threads may use it at once.

    The times of all frames are found when it is made: from the packets if each is one frame, which
    reads the file, and otherwise by decoding all of it.

    Args:
        media: the video or image.
        frames: the number of frames of its plan.

    Raises:
        MediaError: it is damaged, or has another number of frames.
    """

    def __init__(self, media: Media, frames: int) -> None:
        self._media = media
        self.info = open_source(media).info
        self.pts = np.zeros(1, np.int64) if media.is_image else _times(media, frames)
        """Presentation times of all frames in units of ``info.time_base``, (frames,)."""
        if len(self.pts) != frames:
            raise MediaError(f"{media}: has {len(self.pts)} frames, but the plan {frames}")

    def read(self, first: int, last: int) -> Iterator[Frame]:
        """Yield the frames from ``first`` to ``last``, both inclusive.

        Decoding begins at the key frame before them.

        Raises:
            MediaError: one cannot be decoded, or the file has changed.
        """
        if self._media.is_image:
            yield from open_source(self._media)
            return
        end = int(self.pts[last + 1]) if last + 1 < len(self.pts) else None
        number = first
        for frame in _between(self._media, first, (int(self.pts[first]), end)):
            if number > last or frame.pts != self.pts[number]:
                break
            yield frame
            number += 1
        if number <= last:
            raise MediaError(f"{self._media}: frame {number} has changed; analyse it again")


def _between(media: Media, first: int, bounds: tuple[int, int | None]) -> Iterator[DecodedFrame]:
    """Yield the frames with a pts in ``bounds``; the first one has the number ``first``."""
    form = header_of(media).frame_format
    converter, converters = VideoReformatter(), Converters()
    with media.open_container() as container:
        stream = prepared(container, media, threads=1)
        aspects = PixelAspects(stream)
        pictures = windowed_frames(container, stream, media, bounds, aspects.add_packet)
        for number, picture in enumerate(pictures, first):
            form.check(picture, media)
            assert picture.pts is not None
            shown, aspect = form.converted(picture, converter), aspects.of(picture.pts)
            yield DecodedFrame(number, picture.pts, shown, form.orientation, converters, aspect)


def _times(media: Media, frames: int) -> Pts:
    with media.open_container() as container:
        stream = main_video(container, media)
        times = None if has_slots(container, stream) else _packet_times(media, container, stream)
    if times is None or len(times) != frames or (np.diff(times) <= 0).any():
        times = np.array([frame.pts for frame in open_source(media)], np.int64)
    return times


def _packet_times(
    media: Media, container: "av.container.InputContainer", stream: VideoStream
) -> Pts | None:
    """Return the times of all packets in order, None if one has no time."""
    discard_others(container, stream)
    times: list[int] = []
    packets: Iterator[Packet[VideoStream]] = read_packets(container, media, stream)
    for packet in packets:
        if packet.size and not packet.is_discard:
            if packet.pts is None:
                return None
            times.append(packet.pts)
    return np.sort(np.array(times, np.int64))
