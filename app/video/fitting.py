"""Fit frames into another size: for videos whose size changes, as in recorded calls."""

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from app.types import Size
from app.video.frame import plane_pixels
from app.video.pixel_formats import layout

_GRID = 4
"""Pixels to which the fitted picture is aligned: whole chroma samples of nearly every format."""


def fitted(
    picture: av.VideoFrame, size: Size, format_name: str, converter: VideoReformatter
) -> av.VideoFrame:
    """Return a picture of ``size``, in which all of ``picture`` is seen between black bars.

    Args:
        picture: the frame.
        size: width and height of the result.
        format_name: the pixel format of the result, one that ``layout`` knows.
        converter: scales the frame.
    """
    width, height = fitted_size((picture.width, picture.height), size)
    scaled = converter.reformat(picture, width, height, format_name, threads=1)
    result = av.VideoFrame(*size, format_name)
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(result, name, getattr(picture, name))
    form = layout(format_name)
    full = form.is_full_range(picture.color_range)
    for plane in form.planes:
        target, source = plane_pixels(result, plane), plane_pixels(scaled, plane)
        black = np.array(plane.black(full=full), target.dtype)
        target[:] = black if plane.channels > 1 else black[0]
        top = (size[1] - height) // 2 // _GRID * _GRID >> plane.shift_y
        left = (size[0] - width) // 2 // _GRID * _GRID >> plane.shift_x
        target[top : top + source.shape[0], left : left + source.shape[1]] = source
    result.pts, result.duration = picture.pts, picture.duration
    if picture.time_base is not None:
        result.time_base = picture.time_base
    return result


def fitted_size(size: Size, target: Size) -> Size:
    """Return the largest size of the same shape inside ``target``.

    >>> fitted_size((320, 180), (640, 480)), fitted_size((480, 640), (640, 480))
    ((640, 360), (360, 480))
    """
    scale = min(target[0] / size[0], target[1] / size[1])
    width, height = (max(_GRID, round(side * scale / _GRID) * _GRID) for side in size)
    return min(width, target[0]), min(height, target[1])
