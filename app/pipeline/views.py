"""Choose the pictures of a frame that are searched for faces.

Of an opaque frame that is the frame itself. Of one that is partly transparent, every picture that
somebody may see: the stored colours, whatever their opacity; the frame before a white and before a
black background; and the opacity itself, which alone can show a face.
"""

import numpy as np

from app.geometry import clip_to_pixels, grow
from app.types import Boxes, Frame, Image, Opacity, Region, SeeThroughFrame, Size

_BLACK, _WHITE = 0, 255
_NEARLY_OPAQUE = 250
"""Opacity from which a background cannot be noticed."""
_INNER = 0.6
"""The part of a box, along each side, that holds nothing but the face."""


def views(frame: Frame, size: Size | None = None, region: Region | None = None) -> list[Image]:
    """Return the pictures of ``region`` (default: all) to search, scaled to ``size`` if given.

    The first one shows the stored colours.
    """
    stored = frame.rgb(size, region)
    opacity = _opacity(frame, size, region)
    if opacity is None:
        return [stored]
    on_both = [_before(stored, opacity, light) for light in (_WHITE, _BLACK)]
    alone = [np.repeat(plane[:, :, None], 3, axis=2) for plane in (opacity, _WHITE - opacity)]
    return [stored, *on_both, *alone]


def is_see_through(frame: Frame, box: Boxes) -> bool:
    """Whether the background shines through a face; ``box`` is (4,).

    Its stored colours are then not what is seen, so nobody can be recognised in them.
    """
    inner = clip_to_pixels(grow(box[None], _INNER)[0], frame.size)
    opacity = None if inner is None else _opacity(frame, None, inner)
    return opacity is not None and bool(opacity.min() < _NEARLY_OPAQUE)


def _opacity(frame: Frame, size: Size | None, region: Region | None) -> Opacity | None:
    return frame.opacity(size, region) if isinstance(frame, SeeThroughFrame) else None


def _before(stored: Image, opacity: Opacity, background: int) -> Image:
    """Return an image before a plain gray background."""
    share = opacity[:, :, None].astype(np.float32) / _WHITE
    mixed = stored * share + background * (1 - share)
    return mixed.round().astype(np.uint8)
