"""Setting up the encoder of a film, and the pictures that it is given."""

import math
from fractions import Fraction

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from app.video.codecs import Encoding, options, silence
from app.video.pixel_formats import FULL_RANGE, layout

_GOP_SECONDS = 10
_GOP_FRAMES = 250


def add_encoder(
    output: OutputContainer,
    video: VideoStream,
    picture: av.VideoFrame,
    encoding: Encoding,
    *,
    rate: Fraction,
    quality: int,
    threads: int,
) -> VideoStream:
    """A stream of ``output`` that is encoded as ``encoding`` says, like ``video`` otherwise.

    ``picture``, the first one, tells of colour, light and interlacing; ``rate`` is in frames per
    second, ``quality`` 1..100.
    """
    silence(encoding.encoder)
    stream = output.add_stream(encoding.encoder, rate, options(encoding.encoder, quality, picture))
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height = picture.width, picture.height
    context.pix_fmt = encoding.pixel_format
    context.time_base = Fraction(video.time_base or 1)
    stream.time_base = Fraction(video.time_base or 1)
    context.sample_aspect_ratio = video.sample_aspect_ratio or Fraction(0, 1)
    context.gop_size = min(_GOP_FRAMES, max(1, math.floor(rate * _GOP_SECONDS)))
    context.thread_count = threads
    _tag_colour(stream, picture, encoding.pixel_format)
    if picture.interlaced_frame:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.field_order = video.codec_context.field_order
    return stream


def _tag_colour(stream: VideoStream, picture: av.VideoFrame, target: str) -> None:
    context = stream.codec_context
    context.color_primaries = picture.color_primaries
    context.color_trc = picture.color_trc
    is_rgb = layout(picture.format.name).is_rgb
    becomes_yuv = is_rgb and not layout(target).is_rgb
    context.colorspace = 1 if becomes_yuv else picture.colorspace
    full = layout(picture.format.name).is_full_range(picture.color_range) and not is_rgb
    context.color_range = FULL_RANGE if full else (1 if becomes_yuv else picture.color_range)


class Fitter:
    """Makes pictures of one source as an encoder of the pixel format ``target`` takes them."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._converter = VideoReformatter()

    def fit(self, picture: av.VideoFrame, pts: int) -> av.VideoFrame:
        """The picture to encode; itself in nearly all cases."""
        target = self._target
        duration = picture.duration
        if picture.format.name != target:
            source = layout(picture.format.name)
            to_yuv = source.is_rgb and not layout(target).is_rgb
            full = source.is_full_range(picture.color_range)
            picture = self._converter.reformat(
                picture,
                format=target,
                src_color_range=FULL_RANGE if full else 1,
                dst_color_range=FULL_RANGE if full and not to_yuv else 1,
                dst_colorspace=1 if to_yuv else None,
                threads=1,
            )
        picture.pts, picture.duration = pts, duration
        # The decoder's picture types would be taken for orders.
        picture.pict_type = 0
        return picture
