"""Media are fetched once, checked, and replaced if they are damaged."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from app.errors import PackError
from app.files import file_hash
from testmedia import fetch as fetch_media
from testmedia.fetch import MEDIA, Archive, Medium, fetch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache whose archive folder already has an archive with one medium, ``made.txt``."""
    member = tmp_path / "made.txt"
    member.write_text("made")
    archive = tmp_path / "made.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(member, "made-1/made.txt")
    cache = tmp_path / "cache"
    (cache / "archives").mkdir(parents=True)
    sha256 = file_hash(archive)
    archive.rename(cache / "archives" / sha256)
    medium = Medium("a word", Archive("made==1", sha256), "made-1/made.txt", file_hash(member))
    monkeypatch.setitem(MEDIA, "made.txt", medium)
    return cache


def test_a_medium_comes_from_its_archive(made: Path) -> None:
    path = fetch("made.txt", made)
    assert path == made / "media" / "made.txt"
    assert path.read_text() == "made"


def test_a_cached_medium_is_not_fetched_again(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch("made.txt", made)
    monkeypatch.delattr(fetch_media, "download_archive")
    assert fetch("made.txt", made).read_text() == "made"


def test_a_damaged_medium_is_replaced(made: Path) -> None:
    fetch("made.txt", made).write_text("changed")
    assert fetch("made.txt", made).read_text() == "made"


def test_a_member_with_another_hash_is_refused(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = MEDIA["made.txt"]
    other = Medium(pinned.shows, pinned.archive, pinned.member, "0" * 64)
    monkeypatch.setitem(MEDIA, "made.txt", other)
    with pytest.raises(PackError, match="not the pinned file"):
        fetch("made.txt", made)
    assert not (made / "media" / "made.txt").exists()


def test_all_media_have_their_pinned_hashes() -> None:
    for name in fetch_media.DEFAULT:
        assert file_hash(fetch(name)) == MEDIA[name].sha256


def test_an_unknown_name_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "testmedia.fetch", "none"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "unknown medium none; choose from carphone.mp4" in done.stderr
