"""Open the frames of files, and files for frames, whatever their kind."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.files import check_destination
from app.types import FrameSink, MediaFile, PartialSource
from app.video.bitstream.nal import Uncopyable
from app.video.header import header_of
from app.video.images import ImageSink, ImageSource, image_warnings
from app.video.media import Media
from app.video.sink import EncodingSink
from app.video.smart.sink import MixingSink
from app.video.source import VideoSource
from app.video.streams import UPRIGHT, check_rotation, map_streams, muxer_of
from app.video.trial import check_together, copyable
from app.video.truncation import may_be_cut
from app.video.writing import Writing


def open_source(
    media: Media | MediaFile | str, *, threads: int | None = None, quantisers: bool = True
) -> PartialSource:
    """Open the frames of a video or image; the kind is recognised by content, not by name.

    ``threads`` limits those of the decoder (default: the CPUs that this process may use). Without
    ``quantisers``, frames do not know theirs, and take less memory.

    Raises:
        MediaError: the file is missing, empty, damaged, or holds no frame.
        UnsupportedMedia: it is not a supported video or image.
    """
    media = Media.of(media)
    if media.is_image:
        return ImageSource(media)
    return VideoSource(media, threads=threads, quantisers=quantisers)


def check_output(
    media: Media | MediaFile | str,
    output: Path,
    *,
    overwrite: bool = False,
    drop: Sequence[str] = (),
) -> list[str]:
    """Check before any work that ``output`` can be written from ``media``.

    The suffix of ``output`` names the container. ``drop`` names streams to leave out. The first
    frame and the first packets of all other streams are written to memory and read again, so a
    container that cannot hold them is found now.

    Returns:
        Warnings, one line each, of content that will be converted or dropped.

    Raises:
        MediaError: ``media`` cannot be read.
        OutputError: ``output`` cannot be written there, or cannot hold the streams.
    """
    media = Media.of(media)
    check_destination(output, overwrite=overwrite, inputs=(media.file,))
    if media.is_image:
        return image_warnings(media, output)
    held = copyable(media, muxer_of(output))
    with media.open_facts() as container:
        streams = map_streams(container, media, output, held, drop=drop)
    # Only frames hold their rotation, and few containers cannot store it.
    if streams.muxer in UPRIGHT:
        check_rotation(header_of(media).frame_format.matrix, streams.muxer, output)
    check_together(media, output, streams)
    return [*streams.warnings, *_cut_warnings(media)]


def _cut_warnings(media: Media) -> list[str]:
    """Return a warning if the end of a video is left out."""
    if not (media.accept_truncated and may_be_cut(media)):
        return []
    return ["the video may be cut off: its last frame, and what is missing, are left out"]


def open_sink(
    media: Media | MediaFile | str, output: Path, writing: Writing | None = None
) -> FrameSink:
    """Open a sink that encodes every frame of ``media``; use it as a context manager.

    Raises:
        DeviceError: a GPU encoder was requested, but does not work here.
        MediaError, OutputError: as ``check_output``.
    """
    media, writing = Media.of(media), writing or Writing()
    return (ImageSink if media.is_image else EncodingSink)(media, output, writing)


def open_mixing_sink(
    media: Media | MediaFile | str,
    output: Path,
    writing: Writing,
    touched: NDArray[np.bool_],
    last: Media | None = None,
) -> MixingSink:
    """Open a sink that copies the groups of pictures that are not touched.

    Only ``MixingSink.frames`` are written. ``touched`` is (frames,): the frames of ``media`` in
    which something is hidden; with ``last``, an earlier result of the same source, those that must
    differ from it.

    Raises:
        Uncopyable: copying is not safe here; use ``open_sink``.
        DeviceError, MediaError, OutputError: as ``open_sink``.
    """
    media = Media.of(media)
    if media.is_image:
        raise Uncopyable("it is an image")
    return MixingSink(media, output, writing, touched, last)
