"""Archives that pip takes from a folder of the test, and their members."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from app.errors import PackError
from app.files import file_hash, write_file
from app.packs.download import cache_folder, download_archive, extract

SETUP = "from setuptools import setup\nsetup(name='tiny_weights', version='1.0')\n"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _wheel(folder: Path) -> Path:
    """Write a minimal wheel with one file of weights."""
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny/weights.bin", b"weights")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny_weights\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


def _sdist(folder: Path) -> Path:
    path = folder / "tiny_weights-1.0.tar.gz"
    members = {"setup.py": SETUP.encode(), "tiny/weights.bin": b"other weights"}
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            item = tarfile.TarInfo(f"tiny_weights-1.0/{name}")
            item.size = len(data)
            archive.addfile(item, io.BytesIO(data))
    return path


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make pip use an empty folder instead of a registry."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_wheel_is_downloaded_once(offline: Path, tmp_path: Path) -> None:
    wheel = _wheel(offline)
    digest = file_hash(wheel)
    first = download_archive("tiny_weights==1.0", digest, tmp_path / "cache")
    wheel.unlink()
    assert download_archive("tiny_weights==1.0", digest, tmp_path / "cache") == first
    assert file_hash(first) == digest
    assert [path.name for path in first.parent.iterdir()] == [digest], "temporary files are left"


def test_hash_selects_the_source_distribution(
    offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _wheel(offline)
    sdist = _sdist(offline)
    # The folder has no build tools: pip must use those of this environment.
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")
    found = download_archive("tiny_weights==1.0", file_hash(sdist), tmp_path / "cache")
    assert found.read_bytes() == sdist.read_bytes()


def test_damaged_archive_in_the_cache_is_replaced(offline: Path, tmp_path: Path) -> None:
    digest = file_hash(_wheel(offline))
    found = download_archive("tiny_weights==1.0", digest, tmp_path)
    found.write_bytes(b"damaged")
    assert file_hash(download_archive("tiny_weights==1.0", digest, tmp_path)) == digest


def test_archive_with_another_hash_is_refused(offline: Path, tmp_path: Path) -> None:
    _wheel(offline)
    with pytest.raises(PackError) as caught:
        download_archive("tiny_weights==1.0", "0" * 64, tmp_path)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "archives").iterdir()) == []


def test_package_that_does_not_exist(offline: Path, tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"^no_such==1\.0: pip cannot download it: .+$"):
        download_archive("no_such==1.0", "0" * 64, tmp_path)


def test_cache_that_is_not_writable(offline: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PackError, match="cannot be stored"):
        download_archive("tiny_weights==1.0", "0" * 64, tmp_path / "file")


@pytest.mark.parametrize(
    ("make", "member", "content"),
    [
        (_wheel, "tiny/weights.bin", b"weights"),
        (_sdist, "tiny_weights-1.0/tiny/weights.bin", b"other weights"),
    ],
)
def test_extract_one_member(tmp_path: Path, make: object, member: str, content: bytes) -> None:
    archive = make(tmp_path).rename(tmp_path / "no-suffix")  # type: ignore[operator]
    assert extract(archive, member, _hash(content)) == content
    with pytest.raises(PackError, match="not the pinned file"):
        extract(archive, member, "0" * 64)
    with pytest.raises(PackError, match="has no absent"):
        extract(archive, "absent", "0" * 64)


@pytest.mark.parametrize("make", [_wheel, _sdist])
def test_truncated_archive(tmp_path: Path, make: object) -> None:
    archive = make(tmp_path)  # type: ignore[operator]
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(PackError):
        extract(archive, "tiny_weights-1.0/tiny/weights.bin", "0" * 64)


def test_cache_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "face-blur"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home/.cache/face-blur"


def test_put_leaves_no_partial_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_file(tmp_path / "folder", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
