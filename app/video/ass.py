r"""Subtitles in ASS: only styles and text are copied.

The header may have sections that hold files (``[Fonts]``, ``[Graphics]``) and notes of editors.
Lines of text may switch to drawing (``{\p1}``), with which programs draw whole photographs, one
rectangle for each pixel. Drawings mask or decorate and are not read, so they are left out too.
"""

import re
from collections.abc import Iterator

from app.video.hidden_data import holds_data

_SECTIONS = frozenset({"[script info]", "[v4 styles]", "[v4+ styles]", "[v4++ styles]", "[events]"})
_LINE = re.compile(r"(?:Format|Style|[A-Za-z][A-Za-z0-9 ]{0,30}): ?.*")
"""A key and a value. Comments begin with a semicolon, encoded files have no key."""
_UNWANTED = re.compile(
    r"(?:Audio|Video|Export|Last|Keyframes|Timecodes|Original|Update|Script Updated|Synch)\b.*",
    re.IGNORECASE,
)
"""Keys with paths and names of the people who wrote the subtitles."""
_EVENTS = re.compile(r"(?:Dialogue|Comment|Picture|Sound|Movie|Command):", re.IGNORECASE)
"""Lines of the events. In a container they are packets, not parts of the header."""
_DRAWING = re.compile(r"\{[^}]*\\p[1-9][^}]*\}")
_FIELDS_BEFORE_TEXT = 8
"""Fields of a packet before its text: order, layer, style, name, three margins, effect."""


def cleaned_ass_header(data: bytes) -> bytes:
    """Return the header of a stream with its known sections and lines only."""
    return "".join(f"{line}\r\n" for line in _kept_lines(data.decode("utf-8", "replace"))).encode()


def has_files(data: bytes) -> bool:
    """Whether a header has sections that hold files."""
    lines = (line.strip().lower() for line in data.decode("utf-8", "replace").splitlines())
    return any(line in {"[fonts]", "[graphics]", "[aegisub extradata]"} for line in lines)


def _kept_lines(text: str) -> Iterator[str]:
    section = ""
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("["):
            section = line.lower()
            if section in _SECTIONS:
                yield line
        elif section in _SECTIONS and _is_kept(line):
            yield line


def _is_kept(line: str) -> bool:
    if not _LINE.fullmatch(line) or _UNWANTED.fullmatch(line) or _EVENTS.match(line):
        return False
    return not holds_data(line)


def is_copyable_event(data: bytes) -> bool:
    r"""Whether a packet has text to show, and neither drawings nor encoded data.

    >>> is_copyable_event(b"0,0,Default,,0,0,0,,{\\i1}Hello\\Nyou")
    True
    >>> is_copyable_event(b"0,0,Default,,0,0,0,,{\\an7\\p1}m 0 0 l 9 0 9 9{\\p0}")
    False
    """
    fields = data.decode("utf-8", "replace").split(",", _FIELDS_BEFORE_TEXT)
    return not _DRAWING.search(fields[-1]) and not any(holds_data(field) for field in fields)
