"""Attachments: fonts are copied, and pictures are not, whatever their names are."""

from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest

from app.video import check_output
from testmedia.videos import copy_video
from tests.video.planted import ENCODED, JPEG, PLACE, leaks, plain

FontBuilder: Any = pytest.importorskip("fontTools.fontBuilder").FontBuilder
TTGlyphPen: Any = pytest.importorskip("fontTools.pens.ttGlyphPen").TTGlyphPen
TTFont: Any = pytest.importorskip("fontTools.ttLib").TTFont
TTCollection: Any = pytest.importorskip("fontTools.ttLib.ttCollection").TTCollection
DefaultTable: Any = pytest.importorskip("fontTools.ttLib.tables.DefaultTable").DefaultTable


# --- Attachments ----------------------------------------------------------------------------------


def font(*, collection: bool = False) -> bytes:
    """A small font, made without the code under test."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 700), (500, 700), (500, 0)):
        pen.lineTo(point)
    pen.closePath()
    glyph = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "A"])
    builder.setupCharacterMap({65: "A"})
    builder.setupGlyf({".notdef": glyph, "A": glyph})
    builder.setupHorizontalMetrics({".notdef": (600, 0), "A": (600, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Test", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    file = BytesIO()
    if collection:
        both = TTCollection()
        both.fonts = [builder.font, builder.font]
        both.save(file)
    else:
        builder.save(file)
    return file.getvalue()


def changed(change: Callable[[Any], None]) -> bytes:
    one, file = TTFont(BytesIO(font())), BytesIO()
    change(one)
    one.save(file)
    return file.getvalue()


def with_table(tag: str, data: bytes) -> bytes:
    def change(one: Any) -> None:
        table = DefaultTable(tag)
        table.data = data
        one[tag] = table

    return changed(change)


def _with_name(text: str) -> bytes:
    return changed(lambda one: one["name"].setName(text, 5, 3, 1, 0x409))


def with_attachment(path: Path, name: str, mime: str, data: bytes) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        output.add_attachment(name, mime, data)
        for number, frame in enumerate(plain(".mkv").frames()):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


REFUSED_FONTS: dict[str, Callable[[], bytes]] = {
    "a JPEG": lambda: JPEG,
    "a JPEG after the first bytes of a font": lambda: font()[:12] + JPEG,
    "in a name": lambda: _with_name(ENCODED),
    "in instructions": lambda: with_table("fpgm", JPEG),
    "a table of pictures": lambda: with_table("sbix", JPEG),
    "outlines in SVG": lambda: with_table("SVG ", ENCODED.encode()),
    "compressed": lambda: b"wOFF" + font()[4:] + JPEG,
}
REBUILT_FONTS: dict[str, Callable[[], bytes]] = {
    "clean": font,
    "bytes after its end": lambda: font() + JPEG + PLACE.encode(),
    "an unknown table": lambda: with_table("FACE", JPEG),
    "a signature": lambda: with_table("DSIG", JPEG),
    "notes": lambda: with_table("meta", PLACE.encode()),
    "a collection": lambda: font(collection=True) + JPEG,
}


@pytest.mark.parametrize("name", REFUSED_FONTS)
def test_what_is_not_a_plain_font_is_dropped_with_a_warning(name: str, tmp_path: Path) -> None:
    data = REFUSED_FONTS[name]()
    source = with_attachment(tmp_path / "in.mkv", "face.ttf", "font/ttf", data)
    assert any("face.ttf" in one for one in check_output(source, tmp_path / "out.mkv"))
    output = copy_video(source, tmp_path / "out.mkv")
    assert not leaks(output)
    with av.open(str(output)) as container:
        assert not container.streams.attachments


@pytest.mark.parametrize("name", REBUILT_FONTS)
def test_fonts_are_copied_without_what_does_not_belong_to_them(name: str, tmp_path: Path) -> None:
    data = REBUILT_FONTS[name]()
    source = with_attachment(tmp_path / "in.mkv", "a.bin", "application/octet-stream", data)
    output = copy_video(source, tmp_path / "out.mkv")
    assert not leaks(output)
    with av.open(str(output)) as container:
        (attachment,) = container.streams.attachments
        rebuilt = attachment.data
    open_font = TTCollection if name == "a collection" else TTFont
    assert open_font(BytesIO(rebuilt)) is not None
    for number in range(2 if name == "a collection" else 1):
        one = TTFont(BytesIO(rebuilt), fontNumber=number, checkChecksums=2)
        glyph = one["glyf"][one.getBestCmap()[65]]
        assert [tuple(point) for point in glyph.getCoordinates(one["glyf"])[0]] == [
            (0, 0),
            (0, 700),
            (500, 700),
            (500, 0),
        ]
        assert one["name"].getDebugName(1) == "Test"


def test_a_found_attachment(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "faults" / "jpeg_as_font.mkv"
    output = copy_video(source, tmp_path / "out.mkv")
    with av.open(str(source)) as before, av.open(str(output)) as after:
        (picture,) = (one.data for one in before.streams.attachments)
        assert not after.streams.attachments
    assert picture[200:240] not in output.read_bytes()
