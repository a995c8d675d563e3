"""Rebuild colour profiles (ICC.1:2022) from the numbers that define colours, and nothing else.

A profile may be any file: its tags can hold pictures, names and serial numbers of devices. So each
known number is read and written again. Profiles that are tables instead of formulas are not copied,
because a table can be a picture as well.
"""

import struct
from collections.abc import Callable, Mapping

from app.video.hidden_data import holds_data

_HEADER_BYTES, _MAX_TAGS = 128, 100
_MAX_BYTES = 4 << 20
_SIGNATURE = b"acsp"
_CLASSES = frozenset({b"mntr", b"scnr", b"spac"})
_POINTS = frozenset({b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt", b"bkpt", b"lumi"})
_CURVES = frozenset({b"rTRC", b"gTRC", b"bTRC", b"kTRC"})
_TEXTS = frozenset({b"desc", b"cprt"})
_TABLES = frozenset(
    b"%s%d" % (kind, number) for kind in (b"A2B", b"B2A", b"D2B", b"B2D") for number in range(4)
)
"""Tags of tables; programs prefer them to formulas, so a profile without them has other colours."""
_NEEDED = {
    b"RGB ": frozenset({b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"wtpt"}),
    b"GRAY": frozenset({b"kTRC", b"wtpt"}),
}
_CONNECTIONS = {b"RGB ": frozenset({b"XYZ "}), b"GRAY": frozenset({b"XYZ ", b"Lab "})}
"""Spaces that a profile connects to: formulas of RGB lead to XYZ."""
_MAX_CURVE = 4096
"""Points of a curve; more are not in use."""
_PARAMETERS = (1, 3, 4, 5, 7)
"""Numbers of a parametric curve, by the type of its function (10.18)."""
_MAX_TEXT = 100
"""Characters of a description or a copyright."""
_FIRST_WITH_LANGUAGES = 4
"""The version from which texts have several languages."""


def rebuilt_profile(data: bytes) -> bytes | None:
    """Return a profile with the same colours, None if it is not a plain profile."""
    if not _has_header(data):
        return None
    tags = _read_tags(data)
    space = data[16:20]
    if tags is None or tags.keys() & _TABLES or not tags.keys() >= _NEEDED[space]:
        return None
    rebuilt: dict[bytes, bytes] = {}
    for tag, content in tags.items():
        known = _rebuild(tag, content, data[8])
        if known is None and tag in _NEEDED[space]:
            return None
        if known is not None:
            rebuilt[tag] = known
    for tag in _TEXTS:
        rebuilt.setdefault(tag, _text_tag("", tag, data[8]))
    return _write(data[:_HEADER_BYTES], rebuilt)


def _has_header(data: bytes) -> bool:
    if not _HEADER_BYTES + 4 <= len(data) <= _MAX_BYTES or data[36:40] != _SIGNATURE:
        return False
    is_whole = int.from_bytes(data[:4]) == len(data)
    known = data[12:16] in _CLASSES and data[20:24] in _CONNECTIONS.get(data[16:20], ())
    return is_whole and known and data[8] in {2, 4}


def _read_tags(data: bytes) -> dict[bytes, bytes] | None:
    count = int.from_bytes(data[_HEADER_BYTES : _HEADER_BYTES + 4])
    start = _HEADER_BYTES + 4
    if count > _MAX_TAGS or len(data) < start + 12 * count:
        return None
    tags: dict[bytes, bytes] = {}
    for tag, first, length in struct.iter_unpack(">4sII", data[start : start + 12 * count]):
        if first + length > len(data):
            return None
        tags[tag] = data[first : first + length]
    return tags


def _rebuild(tag: bytes, content: bytes, version: int) -> bytes | None:
    """Return the content of a known tag from its numbers; None if it is unknown or damaged."""
    if tag in _TEXTS:
        return _text_tag(_text(content), tag, version)
    for tags, read in _READERS.items():
        if tag in tags:
            return read(content)
    return None


def _point(content: bytes) -> bytes | None:
    return _numbers(content, b"XYZ ", 12)


def _matrix(content: bytes) -> bytes | None:
    return _numbers(content, b"sf32", 36)


def _code_points(content: bytes) -> bytes | None:
    return _numbers(content, b"cicp", 4)


def _numbers(content: bytes, kind: bytes, length: int) -> bytes | None:
    numbers = content[8 : 8 + length]
    return kind + bytes(4) + numbers if content[:4] == kind and len(numbers) == length else None


def _curve(content: bytes) -> bytes | None:
    if content[:4] == b"curv":
        return _sampled_curve(content)
    function = int.from_bytes(content[8:10])
    if content[:4] != b"para" or function >= len(_PARAMETERS):
        return None
    end = 12 + 4 * _PARAMETERS[function]
    return b"para" + bytes(4) + content[8:10] + bytes(2) + content[12:end]


def _sampled_curve(content: bytes) -> bytes | None:
    """Rebuild a curve of points: they must rise, as light does; bytes of a picture do not."""
    count = int.from_bytes(content[8:12])
    points = content[12 : 12 + 2 * count]
    if count > _MAX_CURVE or len(points) != 2 * count:
        return None
    values = struct.unpack(f">{count}H", points)
    if list(values) != sorted(values):
        return None
    return b"curv" + bytes(4) + content[8:12] + points


_READERS: Mapping[frozenset[bytes], Callable[[bytes], bytes | None]] = {
    _POINTS: _point,
    _CURVES: _curve,
    frozenset({b"chad"}): _matrix,
    frozenset({b"cicp"}): _code_points,
}


def _text(content: bytes) -> str:
    """Return the text of a description, if it is one that people read."""
    kind = content[:4]
    if kind == b"desc":
        raw = content[12 : 12 + int.from_bytes(content[8:12])]
    elif kind == b"text":
        raw = content[8:]
    elif kind == b"mluc" and len(content) >= 28:
        length, first = struct.unpack(">II", content[20:28])
        wide = content[first : first + length].decode("utf-16-be", "replace")
        raw = wide.encode("ascii", "replace")
    else:
        return ""
    text = raw.split(b"\0")[0][:_MAX_TEXT].decode("latin-1")
    return text if text.isascii() and text.isprintable() and not holds_data(text) else ""


def _text_tag(text: str, tag: bytes, version: int) -> bytes:
    if version >= _FIRST_WITH_LANGUAGES:
        wide = text.encode("utf-16-be")
        return b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(wide), 28) + wide
    plain = text.encode("ascii") + b"\0"
    if tag == b"cprt":
        return b"text" + bytes(4) + plain
    # Counts and codes of the text in Unicode and in the script of old Macintosh computers, empty.
    return b"desc" + bytes(4) + len(plain).to_bytes(4) + plain + bytes(8 + 3 + 67)


def _write(header: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """Write a profile; tags of equal content share it, as in most profiles."""
    places: dict[bytes, int] = {}
    body: list[bytes] = []
    end = _HEADER_BYTES + 4 + 12 * len(tags)
    for content in tags.values():
        if content not in places:
            places[content] = end
            body.append(content + bytes(-len(content) % 4))
            end += len(body[-1])
    directory = [struct.pack(">4sII", tag, places[it], len(it)) for tag, it in tags.items()]
    parts = [_header(header, end), len(tags).to_bytes(4), *directory, *body]
    return b"".join(parts)


def _header(header: bytes, size: int) -> bytes:
    """Return the header without programs, devices and times (7.2)."""
    return b"".join(
        [
            size.to_bytes(4) + bytes(4),
            header[8:24] + bytes(12),
            _SIGNATURE + bytes(24),
            header[64:80] + bytes(48),
        ]
    )
