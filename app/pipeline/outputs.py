"""Name results: of the same kind as the input, or of a kind that holds everything."""

from collections.abc import Collection
from pathlib import Path, PurePosixPath

from app.errors import OutputError
from app.video import MATROSKA, Kind, Media, check_output

_FALLBACK = MATROSKA.suffixes[0]
"""For videos that their own container could not hold again; Matroska holds nearly everything."""


def default_output(media: Media, folder: Path) -> Path:
    """The file ``result`` with the suffix of the kind of the input, or of the fallback.

    Raises:
        OutputError: the result cannot be written in any kind.
    """
    suffixes = [media.kind.suffix]
    if not media.is_image and media.kind.suffix != _FALLBACK:
        suffixes.append(_FALLBACK)
    name, _ = first_possible(media, folder, [f"result{suffix}" for suffix in suffixes])
    return folder / name


def first_possible(
    media: Media, folder: Path, names: Collection[str], *, overwrite: bool = False
) -> tuple[str, list[str]]:
    """The first of some names, below ``folder``, that the result can have, and the warnings.

    Raises:
        MediaError: the input cannot be read.
        OutputError: the result can have none of these names; the error is that of the last one.
    """
    failure = OutputError(f"{media}: there is no name for its result")
    for name in names:
        try:
            return name, check_output(media, folder / name, overwrite=overwrite)
        except OutputError as error:
            failure = error
    raise failure


def result_names(name: str, kind: Kind) -> list[str]:
    """Names that the result of a file may have, the best first.

    The name of the file itself is the first if its suffix fits the kind of the content. A suffix
    is added behind the whole name, so that ``a.mpg`` and ``a.mkv`` stay two files.

    >>> from app.video.kinds import JPEG, MP4, MPEGPS
    >>> result_names("a.m4v", MP4), result_names("b.mpg", MPEGPS), result_names("c", JPEG)
    (['a.m4v', 'a.m4v.mp4', 'a.m4v.mkv'], ['b.mpg.mkv'], ['c.jpg'])
    """
    suffix = PurePosixPath(name).suffix.lower()
    names = [name] if suffix in {*kind.suffixes, *kind.accepted, kind.suffix} else []
    if suffix != kind.suffix:
        names.append(name + kind.suffix)
    if not kind.is_image and _FALLBACK not in {suffix, kind.suffix}:
        names.append(name + _FALLBACK)
    return names
