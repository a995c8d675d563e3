"""Divide groups of pictures (GOPs), so that fewer frames are encoded, now or after a correction.

The packets and their times stay as they are; only more of them begin a GOP. The decoding times fit
the parts too: a frame of a part waits for fewer later frames.
"""

from dataclasses import replace

import numpy as np

from app.video.smart.gops import Gops, Mask

_MIN_PART = 12
"""Frames of a part that is worth it: each one begins with a picture that costs as much as several.
"""


def divided(gops: Gops, encoded: Mask, frames: int) -> Gops:
    """Return the GOPs with the encoded ones divided into parts of at most ``frames``.

    ``encoded`` is (packets,), and consists of whole GOPs.
    """
    starts = [
        first + size * part // parts
        for first, size in zip(gops.starts.tolist(), gops.sizes.tolist(), strict=True)
        for parts in [-(-size // frames) if encoded[first] else 1]
        for part in range(parts)
    ]
    return replace(gops, starts=np.array(starts, np.int64))


def split_before(gops: Gops, touched: Mask) -> Gops:
    """Return the GOPs with each one split shortly before its first touched frame.

    ``touched`` is (frames,). The first part can be copied: no frame refers to a later packet, and
    it is split where as many frames as packets are complete.
    """
    latest = np.maximum.accumulate(gops.pts)
    is_border = np.append(True, latest[:-1] == gops.frame_pts[:-1])
    starts: list[int] = []
    for first, size in zip(gops.starts.tolist(), gops.sizes.tolist(), strict=True):
        until = first + int(np.argmax(touched[first : first + size]))
        latest_start = min(until, first + size - _MIN_PART)
        borders = [n for n in range(first + _MIN_PART, latest_start + 1) if is_border[n]]
        starts += [first, *borders[-1:]]
    return replace(gops, starts=np.array(starts, np.int64))
