"""Fetching: the whole way for the default pack, and every way in which it can fail."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from app.errors import PackError
from app.faces import fetch as module
from app.faces.fetch import State, fetch, state, verify
from app.faces.packs import Pack, load_pack, models_folder
from app.faces.registry import cache_folder, file_hash


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pack:
    """The default pack without weights, over the archives that are there already."""
    archives = cache_folder() / "archives"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if archives.is_dir():
        (tmp_path / "cache/face-blur").mkdir(parents=True)
        (tmp_path / "cache/face-blur/archives").symlink_to(archives)
    shutil.copytree(
        models_folder() / "open", tmp_path / "models/open", ignore=shutil.ignore_patterns("*.onnx")
    )
    return load_pack("open", tmp_path / "models")


@pytest.fixture
def lines() -> list[str]:
    return []


def test_conversions_give_the_pinned_bytes(pack: Pack, lines: list[str]) -> None:
    assert state(pack) is State.MISSING
    fetch(pack, lines.append)
    assert state(pack) is State.READY
    verify(pack)
    assert {file: file_hash(pack.folder / file) for file in pack.files} == pack.files


def test_what_was_made_once_comes_from_the_cache(
    pack: Pack, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(pack, lines.append)
    (pack.folder / "dlib-resnet.onnx").unlink()
    (pack.folder / "centerface.onnx").write_bytes(b"damaged")
    monkeypatch.setattr(module, "CONVERTERS", {})
    lines.clear()
    fetch(pack, lines.append)
    assert state(pack) is State.READY
    assert not any("from" in line for line in lines)
    assert "centerface-int8.onnx: is there" in lines


def test_a_damaged_file_is_seen(pack: Pack, lines: list[str]) -> None:
    fetch(pack, lines.append)
    path = pack.folder / "dlib-resnet.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert state(pack) is State.DAMAGED
    with pytest.raises(PackError, match="damaged"):
        verify(pack)


def test_a_folder_that_cannot_be_written(pack: Pack, lines: list[str], tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_text("in the way")
    closed = dataclasses.replace(pack, folder=nowhere)
    assert len(closed.sources) == 3
    floats = tuple(source for source in closed.sources if not source.calibration)
    files = {source.produces: closed.files[source.produces] for source in floats}
    closed = dataclasses.replace(closed, sources=floats, files=files)
    fetch(closed, lines.append)
    assert state(closed) is State.READY
    assert all("cache" in str(closed.checked(file)) for file in files)


def test_another_result_than_the_pinned_is_not_stored(pack: Pack, lines: list[str]) -> None:
    wrong = dataclasses.replace(pack, files=dict.fromkeys(pack.files, "0" * 64))
    with pytest.raises(PackError, match="another result"):
        fetch(wrong, lines.append)
    assert not list(pack.folder.glob("*.onnx"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"octaves": {}, "ranges": {"a": 1}}'])
def test_a_calibration_that_is_none(pack: Pack, lines: list[str], text: str) -> None:
    (pack.folder / "centerface-calibration.json").write_text(text)
    with pytest.raises(PackError, match=r"centerface-calibration\.json: no calibration"):
        fetch(pack, lines.append)


def test_a_calibration_of_something_else(pack: Pack, lines: list[str]) -> None:
    path = pack.folder / "centerface-calibration.json"
    path.write_text('{"octaves": {}, "ranges": {}}')
    with pytest.raises(PackError, match="calibrate_detector"):
        fetch(pack, lines.append)


def test_a_converter_that_is_not_there(pack: Pack, lines: list[str]) -> None:
    odd = tuple(dataclasses.replace(source, converter="new") for source in pack.sources)
    with pytest.raises(PackError, match="no converter 'new'"):
        fetch(dataclasses.replace(pack, sources=odd), lines.append)
