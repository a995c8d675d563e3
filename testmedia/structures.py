"""The parts that media files consist of: boxes, elements, chunks, segments and packets.

``split`` takes a file apart, and ``join`` puts it together again with sizes and checksums that are
right, unless a part declares another size. Nothing here is strict: a file may be damaged.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

Layout = Literal["mp4", "ebml", "riff", "ts", "jpeg", "png"]

_BOXES = (
    dict.fromkeys((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta"), 0)
    | dict.fromkeys((b"moof", b"traf", b"mvex", b"mfra"), 0)
    | dict.fromkeys((b"avc1", b"hev1", b"hvc1", b"jpeg"), 78)
    | dict.fromkeys((b"iprp", b"ipco"), 0)
    | {b"meta": 4, b"stsd": 8, b"dref": 8, b"mp4a": 28, b"sowt": 28}
)
"""Boxes that hold boxes, and the bytes before these (ISO/IEC 14496-12)."""
_MASTERS = frozenset(
    bytes.fromhex(name)
    for name in (
        *("1a45dfa3", "18538067", "1549a966", "1654ae6b", "ae", "e0", "e1", "1f43b675", "a0"),
        *("1c53bb6b", "bb", "b7", "114d9b74", "4dbb", "1254c367", "7373"),
    )
)
"""Elements of Matroska that hold elements (RFC 9559)."""
_LISTS = frozenset({b"RIFF", b"LIST"})
_TS_PACKET = 188
_BARE_MARKERS = frozenset({0xD8, 0xD9, *range(0xD0, 0xD8)})
"""Markers of JPEG without a length: the begin, the end, and restarts."""
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(slots=True)
class Part:
    """A part of a file.

    ``name`` is its type. It holds ``body``, then ``parts``. ``width`` is the number of bytes of its
    size, and ``declared`` a size that replaces the true one.
    """

    name: bytes
    body: bytes = b""
    parts: "list[Part]" = field(default_factory=list)
    width: int = 4
    declared: int | None = None


def layout_of(name: str) -> Layout:
    """Return the layout of a file with this name."""
    return _BY_SUFFIX[name.rsplit(".", 1)[-1]]


def split(data: bytes, layout: Layout) -> list[Part]:
    """Take a file apart."""
    return list(_LAYOUTS[layout][0](data))


def join(parts: Sequence[Part], layout: Layout) -> bytes:
    """Put a file together."""
    pack = _LAYOUTS[layout][1]
    return b"".join(pack(part, part.body + join(part.parts, layout)) for part in parts)


def every_part(parts: list[Part]) -> Iterator[tuple[list[Part], int]]:
    """Yield each part at every depth, as the list that holds it and its index there."""
    for index, part in enumerate(parts):
        yield parts, index
        yield from every_part(part.parts)


def _boxes(data: bytes) -> Iterator[Part]:
    position = 0
    while position + 8 <= len(data):
        size, name = (
            int.from_bytes(data[position : position + 4]),
            data[position + 4 : position + 8],
        )
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[position + 8 : position + 16]), 16
        end = position + size if size >= head else len(data)
        content = data[position + head : end]
        part = Part(name, content, width=4 if head == 8 else 8)
        if name in _BOXES:
            part.body = content[: _BOXES[name]]
            part.parts = list(_boxes(content[_BOXES[name] :]))
        yield part
        position = end
    if position < len(data):
        yield Part(b"", data[position:])


def _pack_box(part: Part, content: bytes) -> bytes:
    if not part.name:
        return content
    head = 8 if part.width == 4 else 16
    size = head + len(content) if part.declared is None else part.declared
    if part.width == 4:
        return (size % 2**32).to_bytes(4) + part.name + content
    return (1).to_bytes(4) + part.name + (size % 2**64).to_bytes(8) + content


def _elements(data: bytes) -> Iterator[Part]:
    position = 0
    while position < len(data) and data[position]:
        name_end = position + 9 - data[position].bit_length()
        if name_end >= len(data) or not data[name_end]:
            break
        width = 9 - data[name_end].bit_length()
        start = name_end + width
        size = int.from_bytes(data[name_end:start]) & (1 << 7 * width) - 1
        end = len(data) if size == (1 << 7 * width) - 1 else start + size
        name, content = data[position:name_end], data[start:end]
        part = Part(name, width=width)
        if name in _MASTERS:
            part.parts = list(_elements(content))
        else:
            part.body = content
        yield part
        position = end
    if position < len(data):
        yield Part(b"", data[position:])


def _pack_element(part: Part, content: bytes) -> bytes:
    if not part.name:
        return content
    size = len(content) if part.declared is None else part.declared % 2**56
    width = part.width
    # All bits set would be an unknown size.
    while width < 8 and size >= (1 << 7 * width) - 1:
        width += 1
    return part.name + (size | 1 << 7 * width).to_bytes(width) + content


def _chunks(data: bytes) -> Iterator[Part]:
    position = 0
    while position + 8 <= len(data):
        name = data[position : position + 4]
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        content = data[position + 8 : position + 8 + size]
        if name in _LISTS:
            yield Part(name, content[:4], list(_chunks(content[4:])))
        else:
            yield Part(name, content)
        position += 8 + size + size % 2
    if position < len(data):
        yield Part(b"", data[position:])


def _pack_chunk(part: Part, content: bytes) -> bytes:
    if not part.name:
        return content
    size = len(content) if part.declared is None else part.declared
    return part.name + (size % 2**32).to_bytes(4, "little") + content + bytes(len(content) % 2)


def _packets(data: bytes) -> Iterator[Part]:
    for start in range(0, len(data), _TS_PACKET):
        packet = data[start : start + _TS_PACKET]
        yield Part((int.from_bytes(packet[1:3]) & 0x1FFF).to_bytes(2), packet)


def _pack_packet(part: Part, content: bytes) -> bytes:
    """All packets have one size; one that declares another has it."""
    if part.declared is None:
        return content
    size = part.declared % (2 * _TS_PACKET)
    return content[:size].ljust(size, b"\xff")


def _segments(data: bytes) -> Iterator[Part]:
    position = 0
    while position + 2 <= len(data) and data[position] == 0xFF:
        name = data[position : position + 2]
        position += 2
        if name[1] in _BARE_MARKERS:
            yield Part(name, width=0)
            continue
        size = int.from_bytes(data[position : position + 2])
        yield Part(name, data[position + 2 : position + size], width=2)
        position += size
        if name[1] == 0xDA:  # start of scan: coded data follows without a length
            break
    if position < len(data):
        yield Part(b"", data[position:])


def _pack_segment(part: Part, content: bytes) -> bytes:
    if not part.width or not part.name:
        return part.name + content
    size = len(content) + 2 if part.declared is None else part.declared
    return part.name + (size % 2**16).to_bytes(2) + content


def _png_chunks(data: bytes) -> Iterator[Part]:
    yield Part(b"", data[: len(_PNG_SIGNATURE)])
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(data):
        size = int.from_bytes(data[position : position + 4])
        end = position + 8 + size
        yield Part(data[position + 4 : position + 8], data[position + 8 : end])
        position = end + 4
    if position < len(data):
        yield Part(b"", data[position:])


def _pack_png_chunk(part: Part, content: bytes) -> bytes:
    if not part.name:
        return content
    size = len(content) if part.declared is None else part.declared
    return (size % 2**32).to_bytes(4) + with_checksum(part.name + content)


def with_checksum(data: bytes) -> bytes:
    """Return type and content of a PNG chunk with their CRC."""
    return data + zlib.crc32(data).to_bytes(4)


_LAYOUTS: dict[Layout, tuple[Callable[[bytes], Iterator[Part]], Callable[[Part, bytes], bytes]]] = {
    "mp4": (_boxes, _pack_box),
    "ebml": (_elements, _pack_element),
    "riff": (_chunks, _pack_chunk),
    "ts": (_packets, _pack_packet),
    "jpeg": (_segments, _pack_segment),
    "png": (_png_chunks, _pack_png_chunk),
}
_BY_SUFFIX: dict[str, Layout] = {
    "mp4": "mp4",
    "mov": "mp4",
    "heic": "mp4",
    "avif": "mp4",
    "mkv": "ebml",
    "webm": "ebml",
    "avi": "riff",
    "webp": "riff",
    "ts": "ts",
    "jpg": "jpeg",
    "png": "png",
}
