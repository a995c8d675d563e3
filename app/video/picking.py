"""Read single frames of a video, and decode as few others as possible."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing

import numpy as np

from app.errors import MediaError
from app.types import Frame, Stretch
from app.video.bitstream.nal import Uncopyable
from app.video.media import Media
from app.video.opening import open_source
from app.video.smart.gops import Gops, find_gops


def entry_points(media: Media) -> Sequence[int]:
    """Return the numbers of the frames at which decoding can begin, in order; 0 is the first.

    Only closed groups of pictures in H.264 in MP4 are known. In other videos every frame is decoded
    up to the one that is wanted.

    Raises:
        MediaError: the file cannot be read.
    """
    gops = _gops(media)
    return (0,) if gops is None else tuple(gops.starts.tolist())


def picked(media: Media, frames: Collection[int], *, threads: int | None = None) -> Iterator[Frame]:
    """Yield some frames of a video or image, in order.

    Raises:
        MediaError: the file cannot be read, or has no such frame.
    """
    wanted = set(frames)
    source, gops = open_source(media, threads=threads), _gops(media)
    found = iter(source) if gops is None else source.only(_stretches(gops, wanted, media))
    with closing(found):  # type: ignore[type-var] # both are generators
        for frame in found:
            if frame.index in wanted:
                wanted.remove(frame.index)
                yield frame
            if not wanted:
                return
    if wanted:
        raise MediaError(f"{media}: has no frame {min(wanted)}")


def _gops(media: Media) -> Gops | None:
    if media.is_image:
        return None
    try:
        return find_gops(media)
    except Uncopyable:
        return None


def _stretches(gops: Gops, wanted: Collection[int], media: Media) -> list[Stretch]:
    """Return for each group with wanted frames its part up to the last of them."""
    if wanted and max(wanted) >= len(gops.pts):
        raise MediaError(f"{media}: has no frame {max(wanted)}")
    last: dict[int, int] = {}
    for frame in sorted(wanted):
        last[int(np.searchsorted(gops.starts, frame, side="right")) - 1] = frame
    return [_stretch(gops, group, frame) for group, frame in last.items()]


def _stretch(gops: Gops, group: int, frame: int) -> Stretch:
    """Return the frames of a group up to a frame, and further ones that are decoded before it.

    A packet refers only to packets before it in the file. So a part of a group is complete where
    its first packets are its first frames too.
    """
    first = int(gops.starts[group])
    latest = np.maximum.accumulate(gops.pts[first : first + int(gops.sizes[group])])
    complete = np.flatnonzero(latest == gops.frame_pts[first : first + len(latest)])
    end = first + int(complete[np.searchsorted(complete, frame - first)]) + 1
    return Stretch(first, end, int(gops.frame_pts[first]), int(gops.frame_pts[end - 1]))
