"""Build HTML from small parts. Text becomes markup only by ``text``, which escapes it."""

import base64
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape
from typing import NewType

from app.logs import printable

Markup = NewType("Markup", str)
"""HTML. The type checker refuses plain text in its place."""
_VOID = frozenset({"meta", "img"})
"""Elements without content and end."""


def text(value: object) -> Markup:
    r"""Return text as markup; its lines stay lines.

    Controls and marks of writing direction become visible escapes.

    >>> text("<b>\nR&D")
    '&lt;b&gt;<br>R&amp;D'
    """
    return Markup("<br>".join(escape(printable(line)) for line in str(value).splitlines()))


def joined(parts: Iterable[Markup], between: Markup = Markup("")) -> Markup:
    """Return markup one after the other."""
    return Markup(between.join(parts))


def tag(name: str, /, *content: Markup, **attributes: str) -> Markup:
    """Return an element. Attributes are escaped; ``class_`` stands for ``class``.

    >>> tag("td", text("a"), class_="x", aria_label='"')
    '<td class="x" aria-label="&quot;">a</td>'
    """
    pairs = (
        f' {key.rstrip("_").replace("_", "-")}="{escape(printable(value))}"'
        for key, value in attributes.items()
    )
    begin = f"<{name}{''.join(pairs)}>"
    return Markup(begin if name in _VOID else f"{begin}{''.join(content)}</{name}>")


def picture(jpeg: bytes, size: tuple[int, int], alternative: str) -> Markup:
    """Return an image whose JPEG is part of the page; ``size`` is its width and height."""
    data = base64.b64encode(jpeg).decode("ascii")
    width, height = map(str, size)
    return tag(
        "img", src=f"data:image/jpeg;base64,{data}", width=width, height=height, alt=alternative
    )


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Markup]]) -> Markup:
    """Return a table whose first column names the rows; it scrolls where it is too wide."""
    head = tag("tr", *(tag("th", text(one), scope="col") for one in heads))
    body = joined(
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:]))
        for row in rows
    )
    content = tag("table", tag("caption", text(caption)), tag("thead", head), tag("tbody", body))
    return tag("div", content, class_="wide", role="region", aria_label=caption, tabindex="0")


def facts(rows: Iterable[tuple[str, Markup]], class_: str = "large") -> Markup:
    """Return a list of names and values."""
    pairs = (tag("div", tag("dt", text(name)), tag("dd", value)) for name, value in rows)
    return tag("dl", *pairs, class_=class_)


def section(identity: str, title: str, *content: Markup) -> Markup:
    """Return a part of the page with its heading."""
    return tag("section", tag("h2", text(title), id=identity), *content, aria_labelledby=identity)


def document(title: str, style: str, body: Markup) -> str:
    """Return a whole page that loads nothing, runs nothing and sends nothing."""
    digest = base64.b64encode(sha256(style.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = joined(
        [
            tag("meta", charset="utf-8"),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="referrer", content="no-referrer"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("title", text(title)),
            Markup(f"<style>{style}</style>"),
        ]
    )
    page = tag("html", tag("head", head), tag("body", body), lang="en")
    return f"<!doctype html>\n{page}\n"
