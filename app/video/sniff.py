"""What a file is, told by its own first bytes.

A file is looked at here before any demuxer sees it. Demuxers are not asked to guess: among them
are playlists (HLS, DASH, ffconcat, SDP), which make the library open other files and addresses.
"""

from dataclasses import dataclass

from app.errors import MediaError, UnsupportedMedia
from app.types import MediaFile

_HEAD = 2048
_MOV_ATOMS = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"})
_STILL_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1"})
_MAGIC = {
    b"\x1aE\xdf\xa3": "matroska",
    b"FLV\x01": "flv",
    b"OggS": "ogg",
    b"\x00\x00\x01\xba": "mpeg",
}
TS_PACKETS = ((0, 188), (4, 192), (0, 204))
"""Offset of the first sync byte and packet length: plain, with a time code, with error codes."""


@dataclass(frozen=True, slots=True)
class Kind:
    """``format`` is the demuxer (of a container) or ``jpeg``, ``png``, ``webp`` (of an image)."""

    format: str
    is_image: bool


def sniff(path: MediaFile) -> Kind:
    """What ``path`` holds.

    Raises:
        MediaError: the file is missing, unreadable, not a regular file, or empty.
        UnsupportedMedia: it is neither a self-contained container nor an image that we read.
    """
    head = _read_head(path)
    if not head:
        raise MediaError(f"{path}: the file is empty; check that it was copied completely")
    kind = _image(head) or _container(head)
    if kind is None:
        raise UnsupportedMedia(
            f"{path}: not a video or image that we read; give a self-contained file (MP4, MOV, "
            "MKV, WebM, AVI, MPEG-TS, MPEG-PS, MXF, FLV, Ogg, JPEG, PNG, WebP), not a playlist"
        )
    return kind


def _read_head(path: MediaFile) -> bytes:
    try:
        if not path.exists():
            raise MediaError(f"{path}: no such file; check the name")
        if not path.is_file():
            raise MediaError(f"{path}: not a regular file; give the name of a video or image")
        with path.open("rb") as file:
            return file.read(_HEAD)
    except (OSError, ValueError) as error:
        raise MediaError(f"{path}: cannot be read ({error}); check the file") from error


def _image(head: bytes) -> Kind | None:
    if head.startswith(b"\xff\xd8\xff"):
        return Kind("jpeg", is_image=True)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind("png", is_image=True)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Kind("webp", is_image=True)
    return None


def _container(head: bytes) -> Kind | None:
    format_ = _demuxer(head)
    return Kind(format_, is_image=False) if format_ else None


def _demuxer(head: bytes) -> str | None:
    if head[4:8] in _MOV_ATOMS:
        still = head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS
        return None if still else "mov"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    for magic, format_ in _MAGIC.items():
        if head.startswith(magic):
            return format_
    if b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02" in head:
        return "mxf"
    return "mpegts" if _is_transport_stream(head) else None


def _is_transport_stream(head: bytes) -> bool:
    """Whether sync bytes recur at the distance of packets, at least twice."""
    for offset, length in TS_PACKETS:
        syncs = head[offset::length]
        if len(syncs) >= 2 and set(syncs) == {0x47}:
            return True
    return False
