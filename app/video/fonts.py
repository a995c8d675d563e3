"""Check and rebuild attached fonts: only tables that describe letters are copied.

A file is a font by its content, not by its name. Fonts with pictures instead of outlines, and
compressed ones (WOFF), are not copied; programs that show subtitles need neither.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.video.hidden_data import holds_encoded_text, holds_picture

_COLLECTION = b"ttcf"
_VERSIONS = frozenset({b"\0\1\0\0", b"OTTO", b"true"})
"""TrueType outlines, CFF outlines, and TrueType as Apple marks it."""
_MAX_FONTS = 64
_MAX_TABLES = 64
"""Collections have up to 40 fonts, and fonts up to 40 tables."""
_TABLES = frozenset(
    {b"cmap", b"head", b"hhea", b"hmtx", b"maxp", b"name", b"OS/2", b"post", b"cvt ", b"fpgm"}
    | {b"glyf", b"loca", b"prep", b"gasp", b"CFF ", b"CFF2", b"VORG", b"BASE", b"GDEF", b"GPOS"}
    | {b"GSUB", b"JSTF", b"MATH", b"kern", b"vhea", b"vmtx", b"hdmx", b"LTSH", b"PCLT", b"VDMX"}
    | {b"fvar", b"avar", b"gvar", b"cvar", b"HVAR", b"MVAR", b"VVAR", b"STAT"}
)
"""Tables of outlines, measures and names (OpenType 1.9). Others are left out."""
_PICTURES = frozenset({b"sbix", b"CBDT", b"CBLC", b"EBDT", b"EBLC", b"EBSC", b"SVG ", b"bdat"})
"""Tables of pictures of letters."""
_NEEDED = frozenset({b"cmap", b"head", b"hhea", b"hmtx", b"maxp"})
_OUTLINES = frozenset({b"glyf", b"CFF ", b"CFF2"})
_MAGIC = b"\x5f\x0f\x3c\xf5"
"""``magicNumber`` of the table ``head``, at byte 12."""
_NAMES_BYTES = 64 << 10

_Tables = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class _Font:
    version: bytes
    tables: _Tables


def rebuilt_font(data: bytes) -> bytes | None:
    """Return a font with its known tables only, and nothing between or after them.

    Returns:
        None if it is not a font, or not one that can be copied.
    """
    is_collection = data[:4] == _COLLECTION
    fonts = [_read(data, offset) for offset in _font_offsets(data)]
    if not fonts or None in fonts:
        return None
    known = [font for font in fonts if font is not None and _is_plain(font.tables)]
    if len(known) != len(fonts):
        return None
    return _write(known, is_collection=is_collection)


def _font_offsets(data: bytes) -> Sequence[int]:
    if data[:4] != _COLLECTION:
        return (0,)
    count = int.from_bytes(data[8:12])
    if not 1 <= count <= _MAX_FONTS or len(data) < 12 + 4 * count:
        return ()
    return struct.unpack_from(f">{count}I", data, 12)


def _read(data: bytes, offset: int) -> _Font | None:
    """Read the table directory at ``offset``, and the known tables."""
    version, count = data[offset : offset + 4], int.from_bytes(data[offset + 4 : offset + 6])
    start = offset + 12
    if version not in _VERSIONS or not 1 <= count <= _MAX_TABLES or len(data) < start + 16 * count:
        return None
    tables: dict[bytes, bytes] = {}
    for number in range(count):
        tag, _, first, length = struct.unpack_from(">4sIII", data, start + 16 * number)
        if tag in _PICTURES or first + length > len(data) or tag in tables:
            return None
        if tag in _TABLES:
            tables[tag] = data[first : first + length]
    if b"head" in tables:
        # The checksum of the whole font, which programs do not check; 0 as in collections.
        tables[b"head"] = tables[b"head"][:8] + bytes(4) + tables[b"head"][12:]
    return _Font(version, tables)


def _is_plain(tables: _Tables) -> bool:
    """Whether the tables make a font, and none of them holds a picture."""
    if not tables.keys() >= _NEEDED or not _OUTLINES & tables.keys():
        return False
    if tables[b"head"][12:16] != _MAGIC or len(tables.get(b"name", b"")) > _NAMES_BYTES:
        return False
    return not _has_data(tables.get(b"name", b"")) and not any(
        holds_picture(table) for table in tables.values()
    )


def _has_data(names: bytes) -> bool:
    """Whether the names of a font hold encoded data; they are in UTF-16 or one byte each."""
    return any(holds_encoded_text(text) for text in (names[::2], names[1::2], names))


def _write(fonts: Sequence[_Font], *, is_collection: bool) -> bytes:
    """Write fonts; tables that several of them share are written once."""
    heads = [12 + 16 * len(font.tables) for font in fonts]
    head = 12 + 4 * len(fonts) if is_collection else 0
    places: dict[bytes, int] = {}
    body, end = [], head + sum(heads)
    for table in (table for font in fonts for table in font.tables.values()):
        if table not in places:
            places[table] = end
            padded = table + bytes(-len(table) % 4)
            body.append(padded)
            end += len(padded)
    directories = [_directory(font, places) for font in fonts]
    prefix = b""
    if is_collection:
        offsets = [head + sum(heads[:number]) for number in range(len(fonts))]
        prefix = _COLLECTION + struct.pack(f">II{len(fonts)}I", 0x10000, len(fonts), *offsets)
    return b"".join([prefix, *directories, *body])


def _directory(font: _Font, places: Mapping[bytes, int]) -> bytes:
    """Return the table directory of a font (OpenType 1.9, "Organization of an OpenType Font")."""
    count = len(font.tables)
    power = count.bit_length() - 1
    search = 16 << power
    head = struct.pack(">4sHHHH", font.version, count, search, power, 16 * count - search)
    records = [
        struct.pack(">4sIII", tag, _checksum(table), places[table], len(table))
        for tag, table in sorted(font.tables.items())
    ]
    return head + b"".join(records)


def _checksum(table: bytes) -> int:
    padded = table + bytes(-len(table) % 4)
    total: int = sum(struct.unpack(f">{len(padded) // 4}I", padded))
    return total & 0xFFFFFFFF
