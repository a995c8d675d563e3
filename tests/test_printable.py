"""Names cannot act on a terminal, or pretend to be other names."""

import json
import logging
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from app.cli import main
from app.cli.progress import make_progress, print_message, warn
from app.logs import JsonFormatter, printable

EVIL = "a\x1b]0;title\x07\x1b[2J\x9b31m\x7f\u202egpj.exe\u2066\r\nface-blur: done\ud800"


def acts(text: str) -> list[str]:
    """Return the characters that act on a terminal, found without the code under test."""
    named = {0x61C, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF}
    named |= {*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000)}
    return [c for c in text if ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or ord(c) in named]


@given(st.text())
def test_nothing_acts(text: str) -> None:
    shown = printable(text)
    assert acts(shown) == []
    if text.isprintable():
        assert shown == text


def test_letters_of_all_scripts_are_kept() -> None:
    words = "Zoë 東京 العربية می‌خواهم 👨‍👩‍👧 naïve עברית"
    assert printable(words) == words
    assert all(unicodedata.category(c) != "Cc" for c in words)


def test_messages_are_printable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warn(EVIL, quiet=False)
    print_message(EVIL, quiet=False)
    with make_progress(quiet=False) as progress:
        progress(EVIL, 1, 2)
    name = EVIL.replace("\ud800", "")
    assert main(["render", str(tmp_path / name), str(tmp_path / name), "-o", str(tmp_path)]) == 2
    assert main(["blur", name, "-o", str(tmp_path / "b.mp4")]) == 2
    assert main(["blur", f"--{name}"]) == 2
    error = capsys.readouterr().err
    assert [c for c in acts(error) if c != "\n"] == []
    assert all(line.startswith("face-blur: ") for line in error.splitlines())


def test_names_of_people_are_printable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    Pillow.new("RGB", (64, 64)).save(folder / "a\x1b[2J\u202e.png")
    assert main(["people", str(folder)]) == 2
    both = capsys.readouterr()
    assert [c for c in acts(both.err + both.out) if c != "\n"] == []
    assert "\\u001b" in both.err


def test_logs_stay_json() -> None:
    record = logging.makeLogRecord({"name": "face_blur", "msg": EVIL, "fields": {"a": EVIL}})
    line = JsonFormatter().format(record)
    assert acts(line) == []
    assert json.loads(line)["a"] == EVIL
