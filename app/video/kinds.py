"""The kinds of files that are read and written: one table, and recognition by content.

A file is recognised by its first bytes before any demuxer sees it. Demuxers are not asked to
guess, because some of them are playlists (HLS, DASH, ffconcat, SDP) that make the library open
other files and addresses.
"""

from dataclasses import dataclass
from pathlib import Path

from app.errors import MediaError, UnsupportedMedia, reason_of
from app.types import MediaFile

_HEAD_BYTES = 2048
_DOCTYPE_BYTES = 64
"""The head of a Matroska file that names its document type."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file.

    ``demuxer`` and ``muxer`` are names of the media library, empty if missing: an image has
    no demuxer, and some containers are only read. ``suffixes`` are those of files that we write,
    the preferred one first. ``accepted`` are further suffixes under which such files are found.
    ``result`` is the suffix of results of a kind that is only read, and ``only_read`` are suffixes
    under which files of such a kind are found.
    """

    name: str
    mime: str
    suffixes: tuple[str, ...]
    demuxer: str = ""
    muxer: str = ""
    accepted: tuple[str, ...] = ()
    result: str = ".mkv"
    only_read: tuple[str, ...] = ()

    @property
    def is_image(self) -> bool:
        """Whether it is an image; ``name`` is that of the format in Pillow."""
        return not self.demuxer

    @property
    def suffix(self) -> str:
        """The suffix of an output of the same kind, or that of results of a kind only read."""
        return self.suffixes[0] if self.suffixes else self.result


MP4 = Kind("mp4", "video/mp4", (".mp4", ".m4v"), "mov", "mp4", accepted=(".mov",))
QUICKTIME = Kind("mov", "video/quicktime", (".mov", ".qt"), "mov", "mov", accepted=(".mp4", ".m4v"))
MATROSKA = Kind("matroska", "video/x-matroska", (".mkv",), "matroska", "matroska")
WEBM = Kind("webm", "video/webm", (".webm",), "matroska", "webm", accepted=(".mkv",))
AVI = Kind("avi", "video/x-msvideo", (".avi",), "avi", "avi")
MPEGTS = Kind("mpegts", "video/mp2t", (".ts", ".mts", ".m2ts"), "mpegts", "mpegts")
FLV = Kind("flv", "video/x-flv", (".flv",), "flv", "flv")
MPEGPS = Kind("mpeg", "video/mpeg", (), "mpeg")
MXF = Kind("mxf", "application/mxf", (), "mxf")
OGG = Kind("ogg", "video/ogg", (), "ogg")
ASF = Kind("asf", "video/x-ms-asf", (), "asf")
GIF = Kind("gif", "image/gif", (), "gif", result=".mp4")
JPEG = Kind("jpeg", "image/jpeg", (".jpg", ".jpeg", ".jpe", ".jfif"))
PNG = Kind("png", "image/png", (".png",))
WEBP = Kind("webp", "image/webp", (".webp",))
AVIF = Kind("avif", "image/avif", (".avif",))
HEIC = Kind("heic", "image/heic", (), result=".jpg", only_read=(".heic", ".heif", ".hif"))
TIFF = Kind("tiff", "image/tiff", (".tiff", ".tif"))
BMP = Kind("bmp", "image/bmp", (".bmp", ".dib"))

KINDS = (
    MP4,
    QUICKTIME,
    MATROSKA,
    WEBM,
    AVI,
    MPEGTS,
    FLV,
    MPEGPS,
    MXF,
    OGG,
    ASF,
    GIF,
    JPEG,
    PNG,
    WEBP,
    AVIF,
    HEIC,
    TIFF,
    BMP,
)
BY_SUFFIX = {suffix: kind for kind in KINDS for suffix in kind.suffixes}
"""The kind that a suffix names in an output."""
PHOTO_SUFFIXES = frozenset(
    suffix for kind in KINDS if kind.is_image for suffix in (*kind.suffixes, *kind.only_read)
)
"""Suffixes of files that may be photos."""
PHOTO_FORMATS = "JPEG, PNG, WebP, AVIF, HEIC, TIFF or BMP"
"""The formats of photos in messages."""
CONTENT_TYPES = {suffix: kind.mime for suffix, kind in BY_SUFFIX.items()} | {
    ".json": "application/json"
}
"""MIME types of the files that are written, by suffix."""

TS_PACKETS = ((0, 188), (4, 192), (0, 204))
"""MPEG-TS: offset of the first sync byte and packet length: plain, with time code, with FEC."""
_MOV_ATOMS = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"})
_STILL_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), AVIF),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), HEIC),
}
"""Brands of images and sequences of images in HEIF (ISO/IEC 23008-12), which look like MP4."""
_OPEN_BRANDS = frozenset({b"mif1", b"mif2", b"miaf", b"msf1"})
"""Brands of HEIF that leave the codec to the compatible brands."""
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
"""Sizes of the headers of BMP: two letters are not enough to recognise it."""
_MXF_PARTITION = b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02"
_MAGIC = {
    b"\xff\xd8\xff": JPEG,
    b"\x89PNG\r\n\x1a\n": PNG,
    b"FLV\x01": FLV,
    b"OggS": OGG,
    b"\x00\x00\x01\xba": MPEGPS,
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": ASF,
    b"GIF87a": GIF,
    b"GIF89a": GIF,
    b"II*\0": TIFF,
    b"MM\0*": TIFF,
    b"II+\0": TIFF,
    b"MM\0+": TIFF,
}
_RIFF = {b"AVI ": AVI, b"WEBP": WEBP}


def kind_of(file: MediaFile) -> Kind:
    """Recognise a file by its content.

    Raises:
        MediaError: the file is missing, unreadable, not a regular file, or empty.
        UnsupportedMedia: it is neither a self-contained container nor an image that we read.
    """
    check_readable(file)
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except (OSError, ValueError) as error:
        raise MediaError(f"{file}: cannot be read ({reason_of(error)}); check the file") from error
    return recognise(head, file)


def check_readable(file: MediaFile) -> None:
    """Check that a file exists and that reading from it comes to an end.

    Raises:
        MediaError: it does not exist, or is a pipe, a device or a folder.
    """
    try:
        if not file.exists():
            raise MediaError(f"{file}: no such file; check the name")
        if not file.is_file():
            raise MediaError(f"{file}: not a regular file; give the name of a video or image")
    except (OSError, ValueError) as error:
        raise MediaError(f"{file}: cannot be read ({reason_of(error)}); check the file") from error


def recognise(head: bytes, label: object) -> Kind:
    """Recognise a file by its first bytes; ``label`` is its name in messages.

    Raises:
        MediaError: there are no bytes.
        UnsupportedMedia: it is neither a self-contained container nor an image that we read.
    """
    if not head:
        raise MediaError(f"{label}: the file is empty; check that it was copied completely")
    kind = _recognised(head[:_HEAD_BYTES])
    if kind is None:
        raise UnsupportedMedia(
            f"{label}: not a supported video or image; give a self-contained file (MP4, MOV, MKV, "
            "WebM, AVI, MPEG-TS, MPEG-PS, MXF, FLV, Ogg, WMV, GIF, "
            f"{PHOTO_FORMATS}), not a playlist"
        )
    return kind


def _recognised(head: bytes) -> Kind | None:
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head[4:8] in _MOV_ATOMS:
        return _mov(head)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return WEBM if b"webm" in head[:_DOCTYPE_BYTES] else MATROSKA
    checks = ((BMP, _is_bmp), (MXF, _is_mxf), (MPEGTS, _is_transport_stream))
    return next((kind for kind, check in checks if check(head)), None)


def _mov(head: bytes) -> Kind | None:
    """MP4, QuickTime or HEIF; old QuickTime movies have no ``ftyp``."""
    if head[4:8] != b"ftyp" or head[8:12] == b"qt  ":
        return QUICKTIME
    major, size = head[8:12], int.from_bytes(head[:4], "big")
    if major not in _OPEN_BRANDS:
        return _STILL_BRANDS.get(major, MP4)
    compatible = (head[at : at + 4] for at in range(16, min(size, len(head)), 4))
    return next((_STILL_BRANDS[one] for one in compatible if one in _STILL_BRANDS), None)


def _is_bmp(head: bytes) -> bool:
    return head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def _is_mxf(head: bytes) -> bool:
    return _MXF_PARTITION in head


def _is_transport_stream(head: bytes) -> bool:
    """Whether sync bytes recur at the packet length, at least twice."""
    for offset, length in TS_PACKETS:
        syncs = head[offset::length]
        if len(syncs) >= 2 and set(syncs) == {0x47}:
            return True
    return False


def output_kind(output: Path) -> Kind | None:
    """Return the kind that the suffix of an output names, None if it is not one that we write."""
    return BY_SUFFIX.get(output.suffix.lower())
