"""A few frames out of the middle of a film, to look at and not to keep."""

from collections.abc import Iterator

import av
from av.codec.context import ThreadType
from av.video.reformatter import VideoReformatter

from app.pieces.packets import opened
from app.video.container import translated
from app.video.frame import Converters, DecodedFrame
from app.video.media import Media
from app.video.orientation import Orientation
from app.video.pixel_formats import planar_format


def window(
    media: Media, start: int, first: int, last: int, *, threads: int
) -> Iterator[DecodedFrame]:
    """The frames from ``first`` to ``last`` (pts, both inclusive), decoded from ``start`` on.

    ``start`` is the pts of a key frame at which decoding can begin. The frames are numbered from 0
    and lie as they are coded, not turned upright. There are none where the file cannot be entered
    there.

    Raises:
        MediaError: the file is damaged there.
    """
    converter, converters = VideoReformatter(), Converters()
    with opened(media) as (container, stream), translated(media):
        stream.codec_context.thread_type = ThreadType.AUTO
        stream.codec_context.thread_count = threads
        container.seek(start, stream=stream, backward=True)
        index = 0
        for picture in container.decode(stream):
            if picture.pts is None or picture.pts > last:
                return
            if not index and picture.pts > first:
                return
            if picture.pts < first:
                continue
            shown = _planar(picture, converter)
            if shown is None:
                return
            yield DecodedFrame(index, picture.pts, shown, Orientation(), converters)
            index += 1


def _planar(picture: av.VideoFrame, converter: VideoReformatter) -> av.VideoFrame | None:
    """The picture in a format whose planes are known, None when there is none."""
    name = planar_format(picture.format.name)
    if name is None or name == picture.format.name:
        return picture if name else None
    return converter.reformat(picture, format=name, threads=1)
