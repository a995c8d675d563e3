"""Loading what the settings need, and refusing what cannot be loaded."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.config import Settings
from app.errors import ConfigError, PackError
from app.identity.scale import knots
from app.packs.catalogue import load_pack
from app.pipeline.parts import _record, load_parts

LISTED = {"people": "people", "threads": 1}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packs with the description of the default one, and no weights anywhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "models" / "dlib"
    folder.mkdir(parents=True)
    shutil.copy(load_pack("dlib").folder / "pack.toml", folder)
    return folder.parent


@pytest.fixture(scope="session")
def weights() -> dict[str, Path]:
    """Where the weights are, looked up before a test moves the cache."""
    pack = load_pack("dlib")
    return {file: pack.path(file) for file in pack.files}


Link = Callable[..., None]


@pytest.fixture
def link(weights: dict[str, Path], root: Path) -> Link:
    """Puts some of the weights into the folder of packs."""

    def put(*files: str) -> None:
        for file in files:
            (root / "dlib" / file).symlink_to(weights[file])

    return put


def test_everyone_needs_no_recogniser(root: Path, link: Link) -> None:
    link("centerface.onnx")
    parts = load_parts(Settings(models_root=root, precision="float", threads=1))
    assert parts.recogniser is None
    assert parts.models.recogniser is None
    assert parts.models.detector.file == "centerface.onnx"
    assert parts.models.detector.sha256 == load_pack("dlib").files["centerface.onnx"]


def test_telling_people_apart_needs_one(root: Path, link: Link) -> None:
    link("centerface-int8.onnx")
    with pytest.raises(PackError, match=r"dlib-resnet\.onnx: the weights are missing"):
        load_parts(Settings(models_root=root, precision="int8", **LISTED))
    link("dlib-resnet.onnx")
    parts = load_parts(Settings(models_root=root, precision="int8", **LISTED))
    assert parts.recogniser is not None
    assert parts.models.recogniser is not None
    assert parts.models.recogniser.file == "dlib-resnet.onnx"
    assert parts.models.detector.file == "centerface-int8.onnx"
    assert parts.models.pack == "dlib"


IDENTITY = """[identity]
measured = true
people = 54
source = "made up"
curve = [
    { quality = 0.5, stranger = 0.85, doubtful = 0.88, sure = 0.93 },
    { quality = 1.0, stranger = 0.85, doubtful = 0.91, sure = 0.935 },
]
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [(0.88, 0.93), (0.91, 0.935)]),
        ({"sure": 0.97}, [(0.88, 0.97), (0.91, 0.97)]),
        ({"doubtful": 0.87}, [(0.87, 0.93), (0.87, 0.935)]),
        ({"doubtful": 0.86, "sure": 0.9}, [(0.86, 0.9)] * 2),
    ],
)
def test_the_scale_is_that_of_the_pack_unless_similarities_are_given(
    root: Path, link: Link, given: dict[str, float], expected: list[tuple[float, float]]
) -> None:
    link("centerface-int8.onnx", "dlib-resnet.onnx")
    toml = (root / "dlib" / "pack.toml").read_text("utf-8")
    head, _, _ = toml.partition("[identity]")
    (root / "dlib" / "pack.toml").write_text(head + IDENTITY)
    parts = load_parts(Settings(models_root=root, precision="int8", people="people", **given))
    assert [(knot.doubtful, knot.sure) for knot in parts.scale.knots] == expected
    assert parts.scale.least == 0.5


@pytest.mark.parametrize("given", [{"sure": 0.8}, {"doubtful": 0.96}])
def test_similarities_that_contradict_the_pack_are_refused(
    root: Path, link: Link, given: dict[str, float]
) -> None:
    link("centerface-int8.onnx", "dlib-resnet.onnx")
    settings = Settings(models_root=root, precision="int8", people="people", **given)
    with pytest.raises(ConfigError, match="dlib: doubtful and sure contradict the pack"):
        load_parts(settings)


def test_an_unknown_pack_is_named_with_those_there_are(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"no model pack 'none' in .*; available: dlib"):
        load_parts(Settings(models_root=root, models="none"))


def test_missing_weights_are_named_with_the_way_to_get_them(root: Path) -> None:
    with pytest.raises(PackError, match=r"centerface\.onnx: .*face-blur models fetch dlib"):
        load_parts(Settings(models_root=root, precision="float"))


def test_damaged_weights_are_not_used(root: Path, weights: dict[str, Path]) -> None:
    good = weights["centerface.onnx"].read_bytes()
    (root / "dlib" / "centerface.onnx").write_bytes(good[:-1] + b"?")
    with pytest.raises(PackError, match=r"centerface\.onnx: the weights are damaged"):
        load_parts(Settings(models_root=root, precision="float"))


def test_a_damaged_description_is_named(root: Path) -> None:
    (root / "dlib" / "pack.toml").write_text("summary = ")
    with pytest.raises(PackError, match=r"dlib/pack\.toml"):
        load_parts(Settings(models_root=root))


def test_parts_of_two_packs_are_mixed(root: Path, link: Link) -> None:
    """The scale is that of the recogniser's pack."""
    link("centerface.onnx", "dlib-resnet.onnx")
    text = (root / "dlib" / "pack.toml").read_text("utf-8")
    head, _, _ = text.partition("[identity]")
    other = head.replace("centerface.onnx", "gone.onnx") + IDENTITY
    (root / "dlib" / "other.toml").write_text(other, encoding="utf-8")
    settings = Settings(
        models="dlib:other", detector="dlib", models_root=root, precision="float", **LISTED
    )
    parts = load_parts(settings)
    assert parts.models.pack == "dlib+dlib:other"
    assert parts.scale.least == 0.5
    assert parts.models.recogniser is not None
    assert parts.models.recogniser.file == "dlib-resnet.onnx"
    with pytest.raises(PackError, match=r"gone\.onnx"):
        load_parts(settings.changed(detector=None))
    own = load_parts(settings.changed(recogniser="dlib")).scale
    assert own.knots == knots(load_pack("dlib").scale.curve)


def test_several_files_are_recorded_by_one_hash(root: Path, link: Link) -> None:
    link("centerface.onnx", "dlib-resnet.onnx")
    path = root / "dlib" / "pack.toml"
    text = path.read_text("utf-8")
    several = 'float = ["dlib-resnet.onnx", "centerface.onnx"]'
    path.write_text(text.replace('float = "dlib-resnet.onnx"', several), encoding="utf-8")
    pack = load_pack("dlib", root)
    record = _record(pack, pack.part("recogniser").files["float"])
    assert record.file == "dlib-resnet.onnx+centerface.onnx"
    assert len(record.sha256) == 64
    assert record.sha256 not in pack.files.values()
