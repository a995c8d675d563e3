"""Choose the name of a result: in the format of the input, or in one that holds all its streams."""

from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from app.errors import OutputError
from app.video import MATROSKA, Kind, Media, check_output

_FALLBACK = MATROSKA.suffixes[0]
"""Suffix for videos that cannot be written to their own container again. Matroska holds nearly all
streams."""


def default_output(media: Media, folder: Path, *, drop: Sequence[str] = ()) -> Path:
    """Return the path ``result``, with the suffix of the input's format or with the fallback.

    ``drop`` names streams to leave out.

    Raises:
        OutputError: neither format can hold the result.
    """
    suffixes = [media.kind.suffix]
    if not media.is_image and media.kind.suffix != _FALLBACK:
        suffixes.append(_FALLBACK)
    name, _ = first_possible(media, folder, [f"result{suffix}" for suffix in suffixes], drop=drop)
    return folder / name


def first_possible(
    media: Media,
    folder: Path,
    names: Collection[str],
    *,
    overwrite: bool = False,
    drop: Sequence[str] = (),
) -> tuple[str, list[str]]:
    """Return the first of ``names`` below ``folder`` that can be written, and its warnings.

    ``drop`` names streams to leave out.

    Raises:
        MediaError: the input cannot be read.
        OutputError: none of the names can be written; the error is that of the last one.
    """
    for number, name in enumerate(names, 1):
        try:
            return name, check_output(media, folder / name, overwrite=overwrite, drop=drop)
        except OutputError:
            if number == len(names):
                raise
    raise OutputError(f"{media}: its result cannot have any name")


def result_names(name: str, kind: Kind) -> list[str]:
    """Return the names that the result of a file may have, best first.

    The first is the name of the file itself, if its suffix fits the content. Other suffixes are
    appended to the whole name, so that the results of ``a.mpg`` and ``a.mkv`` stay two files.

    >>> from app.video.kinds import HEIC, JPEG, MP4, MPEGPS
    >>> result_names("a.m4v", MP4), result_names("b.mpg", MPEGPS), result_names("c", JPEG)
    (['a.m4v', 'a.m4v.mp4', 'a.m4v.mkv'], ['b.mpg.mkv'], ['c.jpg'])
    >>> result_names("d.HEIC", HEIC)
    ['d.HEIC.jpg']
    """
    suffix = PurePosixPath(name).suffix.lower()
    names = [name] if suffix in {*kind.suffixes, *kind.accepted, kind.suffix} else []
    if suffix != kind.suffix:
        names.append(name + kind.suffix)
    if not kind.is_image and _FALLBACK not in {suffix, kind.suffix}:
        names.append(name + _FALLBACK)
    return names
