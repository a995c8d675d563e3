"""The tables of docs/formats.md are those of the code."""

import re
from pathlib import Path

from app.video.encodings import Encoding, encoders_of
from app.video.kinds import KINDS
from app.video.streams import AUDIO, SUBTITLES, audio_encoder, text_encoder

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "formats.md").read_text("utf-8")


def rows(heading: str) -> list[list[list[str]]]:
    """The names in each cell of the first table below a heading, row by row."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:-1]] for line in lines]


def test_every_container_is_listed_with_its_suffixes_and_codecs() -> None:
    videos = [kind for kind in KINDS if not kind.is_image]
    found = {name: cells for _, (name,), *cells in rows("Containers")}
    assert list(found) == [kind.name for kind in videos]
    for kind in videos:
        suffixes, codecs, result = found[kind.name]
        encoders = encoders_of(kind.muxer) if kind.muxer else ()
        assert suffixes == list(kind.suffixes)
        assert codecs == [Encoding(encoder, "").codec for encoder in encoders]
        assert result == [kind.suffix]


def test_every_format_of_images_is_listed_with_its_suffixes() -> None:
    images = [kind for kind in KINDS if kind.is_image]
    found = {name: cells for _, (name,), *cells in rows("Images")}
    assert list(found) == [kind.name for kind in images]
    for kind in images:
        expected = [list(kind.suffixes), list(kind.only_read), [kind.suffix]]
        assert found[kind.name] == expected


def test_sound_is_copied_or_converted_as_listed() -> None:
    found = {muxer: (copied, target) for (muxer,), copied, (target,) in rows("Sound")}
    assert {muxer: set(copied) for muxer, (copied, _) in found.items()} == AUDIO
    for muxer, (_, target) in found.items():
        assert audio_encoder("no such codec", muxer) == target


def test_subtitles_are_copied_or_converted_as_listed() -> None:
    found = {muxer: (copied, target) for (muxer,), copied, target in rows("Subtitles")}
    assert {muxer: set(copied) for muxer, (copied, _) in found.items()} == SUBTITLES
    for muxer, (_, target) in found.items():
        assert text_encoder(muxer) == (target[0] if target else None)
