"""Frames out of files, and files out of frames."""

from pathlib import Path

from app.files import check_place
from app.types import FrameSink, MediaFile, PartialSource
from app.video.bitstream.nal import Uncopyable
from app.video.container import open_container
from app.video.hardware import Encoder, require
from app.video.images import ImageSink, ImageSource, image_warnings, read_photo
from app.video.sink import VideoSink
from app.video.sniff import sniff
from app.video.source import VideoSource
from app.video.streams import UPRIGHT, check_rotation, output_suffix, plan_streams

__all__ = [
    "Uncopyable",
    "check_output",
    "natural_suffix",
    "open_sink",
    "open_source",
    "read_photo",
    "require",
]


def open_source(path: MediaFile, *, threads: int | None = None) -> PartialSource:
    """The frames of a video or image, told by its content, never by its name.

    ``threads`` bounds those of the decoder (default: as many as CPUs may be used).

    Raises:
        MediaError: the file is missing, empty, damaged, or holds no frame.
        UnsupportedMedia: it is not a video or image that we read.
    """
    kind = sniff(path)
    if kind.is_image:
        return ImageSource(path, kind.format)
    return VideoSource(path, kind.format, threads=threads)


def check_output(source: MediaFile, output: Path, *, overwrite: bool = False) -> list[str]:
    """Whether ``output`` can be written from ``source``, before any work.

    The container is told by the suffix of ``output``. Returned are warnings, one line each, of
    what will be converted or dropped.

    Raises:
        MediaError: ``source`` cannot be read.
        OutputError: ``output`` cannot be written there, or cannot hold the streams.
    """
    check_place(source, output, overwrite=overwrite)
    kind = sniff(source)
    if kind.is_image:
        return image_warnings(source, kind.format, output)
    with open_container(source, kind.format) as container:
        outline = plan_streams(container, source, output)
    # Only frames tell how they are turned; few containers need to know.
    if outline.muxer in UPRIGHT:
        check_rotation(VideoSource(source, kind.format).matrix, outline.muxer, output)
    return list(outline.warnings)


def open_sink(
    source: MediaFile,
    output: Path,
    *,
    quality: int = 90,
    keep_location: bool = False,
    overwrite: bool = False,
    threads: int | None = None,
    copy_untouched: bool = False,
    encoder: Encoder = "software",
) -> FrameSink:
    """A sink for frames of ``source``, as a context manager; see ``check_output``.

    ``quality`` is 1..100, 90 is visually lossless. Places and devices in the metadata are left
    out unless ``keep_location``. ``threads`` bounds those of the encoder. With ``copy_untouched``
    ask the sink which frames are ``needed``: others are copied where that is safe. ``write`` and
    ``commit`` raise ``Uncopyable`` where it was not; then do it without. ``encoder`` asks for that
    of a GPU; nothing is copied beside its pictures.

    Raises:
        DeviceError: no GPU does what is asked for.
        MediaError, OutputError: as ``check_output``.
    """
    kind = sniff(source)
    if kind.is_image:
        return ImageSink(source, output, quality=quality, overwrite=overwrite)
    return VideoSink(
        source,
        kind.format,
        output,
        quality=quality,
        keep_location=keep_location,
        overwrite=overwrite,
        threads=threads,
        copy_untouched=copy_untouched,
        encoder=encoder,
    )


def natural_suffix(path: MediaFile) -> str:
    """The suffix of an output of the same kind as ``path``, told by its content.

    Kinds that are read but not written (MPEG-PS, MXF, Ogg) become ``.mkv``.

    Raises:
        MediaError, UnsupportedMedia: as ``open_source``.
    """
    return output_suffix(sniff(path).format, path)
