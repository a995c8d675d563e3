"""Putting rendered pieces together, after a proof that each of them is what it should be.

What is not proven is refused: nothing of the source's pictures ever stands in for a piece.
"""

from pathlib import Path

import numpy as np

from app.errors import MediaError, UsageError
from app.pieces.manifest import Manifest, Piece, read_manifest
from app.pieces.packets import Header, Packets, read_packets
from app.pieces.splicing import Rendered, check_splice, splice
from app.video.media import Media

_ENDINGS = ("", ".out")
"""What jobs add to the name of a file for their result."""
_SAME = {
    "codec": "codec",
    "size": "size",
    "pixel_format": "pixel format",
    "aspect": "shape of pixels",
    "colour": "colour",
    "matrix": "rotation",
    "parameters": "coding parameters",
}
"""What all pieces must have in common, and how it is called."""


def join(
    manifest: Path,
    results: Path,
    source: Path,
    output: Path,
    *,
    keep_location: bool = False,
    overwrite: bool = False,
) -> list[str]:
    """Put the rendered pieces in ``results`` together into ``output``; returns warnings.

    Sound, subtitles, chapters and tags come from ``source``, as in an ordinary rendering. The
    pictures are those of the pieces, packet by packet, at the times of the source.

    Raises:
        UsageError: the manifest is wrong or of another source, or a piece is missing or not the
            one that it should be.
        MediaError: a piece was not processed, is damaged, or is unlike the others.
        OutputError, DiskFull: the output cannot be written.
    """
    split = read_manifest(manifest)
    original = check_source(split, source)
    rendered = _rendered(split, results, original)
    warnings = check_splice(source, output, rendered[0].packets.header, overwrite=overwrite)
    splice(source, output, rendered, keep_location=keep_location, overwrite=overwrite)
    return warnings


def check_source(split: Manifest, source: Path) -> Packets:
    """Read the packets of the source that was split.

    Raises:
        UsageError: it is another one, or the manifest says wrong things about it.
    """
    media = Media(source)
    if source.stat().st_size != split.source.size or media.sha256 != split.source.sha256:
        raise UsageError(f"{source}: is not the film that was split ({split.source.name})")
    packets = read_packets(media)
    times = packets.times
    if len(times) != split.source.frames or packets.header.time_base != split.source.time_base:
        raise UsageError(f"{source}: has other frames than the manifest says; split it again")
    for piece in split.pieces:
        ends = (int(times[piece.first]), int(times[piece.first + piece.frames - 1]))
        if ends != (piece.first_pts, piece.last_pts):
            raise UsageError(f"{piece.file}: the manifest is wrong about its times; split again")
    return packets


def _rendered(split: Manifest, results: Path, original: Packets) -> list[Rendered]:
    """The results of all pieces, each checked."""
    paths = _found(split, results)
    rendered: list[Rendered] = []
    for number, (piece, path) in enumerate(zip(split.pieces, paths, strict=True)):
        media = Media(path)
        if media.sha256 == piece.sha256:
            raise MediaError(f"{path}: is the piece itself, no face is hidden in it; render it")
        packets = read_packets(media)
        _check_mark(path, packets, split, number)
        _check_header(path, packets.header, (rendered[0].packets if rendered else packets).header)
        _check_picture(path, packets.header, original.header)
        _check_times(path, packets, piece, original)
        rendered.append(Rendered(path, packets, piece.first_pts))
    return rendered


def _found(split: Manifest, results: Path) -> list[Path]:
    """The result of each piece: a file of its name, or with the ending that jobs add.

    Raises:
        UsageError: one is missing, or is there twice.
    """
    if not results.is_dir():
        raise UsageError(f"{results}: no such folder; name the one with the rendered pieces")
    options = [
        [path for path in (results / (piece.file + ending) for ending in _ENDINGS) if path.exists()]
        for piece in split.pieces
    ]
    missing = [p.file for p, found in zip(split.pieces, options, strict=True) if not found]
    if missing:
        raise UsageError(
            f"{results}: {len(missing)} of {len(options)} pieces are missing, the first is "
            f"{missing[0]}; render them"
        )
    for found in options:
        if len(found) > 1:
            raise UsageError(f"{found[0]}: is there twice, also as {found[1].name}; remove one")
    return [found[0] for found in options]


def _check_mark(path: Path, packets: Packets, split: Manifest, number: int) -> None:
    mark = packets.mark
    if mark is None:
        raise MediaError(f"{path}: does not say which piece it is; render the piece with Face blur")
    if (mark.number, mark.count, mark.split) != (number + 1, len(split.pieces), split.id):
        raise UsageError(f"{path}: is another piece, {mark.number} of {mark.count}, or of a split "
                         "elsewhere; render the right one")  # fmt: skip
    if not mark.processed:
        raise MediaError(f"{path}: was not processed; render it with Face blur")


def _check_header(path: Path, header: Header, first: Header) -> None:
    """One decoder must take all pieces, with what it was told before the first one."""
    for name, called in _SAME.items():
        if getattr(header, name) != getattr(first, name):
            raise MediaError(
                f"{path}: differs from the first piece in its {called}; "
                "render all pieces with the same version and settings"
            )


def _check_picture(path: Path, header: Header, original: Header) -> None:
    if (header.size, header.matrix) != (original.size, original.matrix):
        raise MediaError(f"{path}: size or rotation of its picture is not that of the source")


def _check_times(path: Path, packets: Packets, piece: Piece, original: Packets) -> None:
    """Exactly the frames of the piece, at exactly their times, with a clean start."""
    there, wanted = packets.times, original.times[piece.first : piece.first + piece.frames]
    if len(there) != piece.frames or len(packets.pts) != len(there):
        raise MediaError(f"{path}: has {len(there)} frames, not {piece.frames}; render it again")
    same_base = packets.header.time_base == original.header.time_base
    if not same_base or not np.array_equal(there, wanted - wanted[0]):
        raise MediaError(f"{path}: its frames are at other times; render it to the same container")
    if not packets.clean[0]:
        raise MediaError(f"{path}: does not begin with a key frame; render it again")
