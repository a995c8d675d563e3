"""The table of ``face-blur people``."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.cli import main
from app.cli.people import _aligned, _row
from app.identity.comparison import Likeness
from app.pipeline.photo_report import PhotoReport
from testmedia.fetch import fetch

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos of Obama and one of Biden as alice, one of Obama as bob, and unusable files."""
    root = tmp_path_factory.mktemp("people")
    media = {
        "alice/1.jpg": "obama.jpg",
        "alice/2.jpg": "obama2.jpg",
        "alice/guest.jpg": "biden.jpg",
        "日本 太郎.jpg": "obama3.jpg",
        "guests.jpg": "group.jpg",
    }
    for name, medium in media.items():
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(fetch(medium), root / name)
    with Image.open(fetch("obama.jpg")) as image:
        soft = image.reduce(24).resize(image.size, Image.Resampling.BICUBIC)
        soft.save(root / "alice/soft.png")
    (root / "notes.txt").touch()
    return root


def printed(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[str, str]:
    assert main(["people", str(folder), *options]) == 2
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_the_table_compares_all_photos(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = printed(folder, capsys)
    head, *rows, legend = out.splitlines()
    assert head.split("  ")[0] == "person"
    assert legend.startswith("likeness: 0 as between strangers")
    found = {columns[1]: columns for columns in (re.split(r" {2,}", row) for row in rows)}
    assert list(found) == [
        *("alice/1.jpg", "alice/2.jpg", "alice/guest.jpg", "alice/soft.png", "日本 太郎.jpg")
    ]
    assert all(found[name][5].startswith("日本 太郎 ") for name in ("alice/1.jpg", "alice/2.jpg"))
    marks = {name: [word for word in ("UNLIKE", "TOO ALIKE") if word in " ".join(columns)]
             for name, columns in found.items()}  # fmt: skip
    assert marks == {
        "alice/1.jpg": ["TOO ALIKE"],
        "alice/2.jpg": ["TOO ALIKE"],
        "alice/guest.jpg": ["UNLIKE"],
        "alice/soft.png": [],
        "日本 太郎.jpg": ["TOO ALIKE"],
    }
    assert "too low: out of focus" in found["alice/soft.png"][3]
    assert found["alice/soft.png"][4:] == ["-", "-"]
    assert found["日本 太郎.jpg"][4] == "-", "no other photo"
    # The face of obama.jpg is 242 x 346 pixels, see tests/web/test_start.py.
    assert float(found["alice/1.jpg"][2].removesuffix(" px")) == pytest.approx(289, rel=0.1)
    for name in ("guests.jpg", "notes.txt"):
        assert len([line for line in err.splitlines() if f"{folder}/{name}: " in line]) == 1


def test_json_has_the_same_content(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, warnings = printed(folder, capsys)
    out, err = printed(folder, capsys, "--json")
    assert (out.isascii(), err) == (True, warnings)
    report: dict[str, Any] = json.loads(out)
    assert [person["name"] for person in report["people"]] == ["alice", "日本 太郎"]
    photos = {photo["file"]: photo for person in report["people"] for photo in person["photos"]}
    assert photos["alice/soft.png"]["flaw"] == "out of focus"
    assert photos["alice/soft.png"]["own_likeness"] is None
    assert {name: (one["unlike"], one["too_alike"]) for name, one in photos.items()} == {
        "alice/1.jpg": (False, True),
        "alice/2.jpg": (False, True),
        "alice/guest.jpg": (True, False),
        "alice/soft.png": (False, False),
        "日本 太郎.jpg": (False, True),
    }
    for name, one in photos.items():
        row = next(line for line in table.splitlines() if name in line)
        values = (one["quality"], one["own_likeness"], one["nearest_likeness"])
        for value in (value for value in values if value is not None):
            near = {f"{value + step / 1000:.2f}" for step in (-1, 0, 1)}
            assert any(text in row for text in near)
    assert {one["file"] for one in report["unusable"]} == {"guests.jpg", "notes.txt"}
    assert all(one["error"] in err for one in report["unusable"])
    assert all(doubt in err for doubt in report["doubts"])
    documented = set(re.findall(r"`(\w+)`", (ROOT / "docs/usage.md").read_text("utf-8")))
    assert {*report, *photos["alice/1.jpg"], "name", "photos", "file", "error"} <= documented


def report_of(person: str, file: str, likeness: Likeness) -> PhotoReport:
    return PhotoReport(person, file, 100.0, 1.0, "", likeness)


def columns_of(line: str, wide: str) -> int:
    """Columns of a line in which the letters ``wide`` take two."""
    return len(line) + sum(line.count(char) for char in wide)


def test_columns_stay_aligned_with_wide_combining_long_and_acting_names() -> None:
    names = ("bob", "日本太郎", "e\u0301ve", "n" * 90, "x\x1b[2J\u202ey")
    rows = [
        _row(report_of(name, f"{name}/1.jpg", Likeness(0.5, False, "bob", 0.25, True)))
        for name in names
    ]
    lines = list(_aligned([("person", "photo", "face", "quality", "own", "nearest"), *rows]))
    starts = set()
    for line in lines[1:]:
        assert line.isprintable()
        before = line[: line.index("100 px")]
        starts.add(columns_of(before, "日本太郎") - before.count("\u0301"))
    assert len(starts) == 1
    assert "x\\u001b[2J\\u202ey" in lines[-1]


def test_a_folder_without_usable_photos_has_no_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "alice.jpg").write_text("no photo")
    assert printed(tmp_path, capsys)[0] == ""
    assert json.loads(printed(tmp_path, capsys, "--json")[0])["people"] == []


def test_usable_photos_end_with_success(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["people", str(people)]) == 0
    captured = capsys.readouterr()
    assert (len(captured.out.splitlines()), captured.err) == (4, "")
