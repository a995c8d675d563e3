"""Manifests are read strictly: wrong values are refused with their place, and never shown."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.errors import UsageError
from app.pieces import Manifest, Piece, SourceFile, read_manifest
from app.pieces.manifest import make_manifest, write_manifest

SOURCE = SourceFile(
    name="a.mp4",
    sha256="0" * 64,
    size=1000,
    frames=20,
    time_base=Fraction(1, 12800),
    rate=Fraction(30000, 1001),
    duration=0.8,
)


def piece(number: int, **changes: Any) -> Piece:
    """Return a piece of ten frames."""
    values: dict[str, Any] = {
        "file": f"a-{number}.mp4",
        "sha256": f"{number}" * 64,
        "first": 10 * number,
        "frames": 10,
        "first_pts": 5120 * number,
        "last_pts": 5120 * number + 4608,
        "duration": 0.4,
    }
    return Piece(**(values | changes))


@pytest.fixture
def manifest() -> Manifest:
    return make_manifest(SOURCE, [piece(0), piece(1)])


def test_a_manifest_is_read_as_it_was_written(manifest: Manifest, tmp_path: Path) -> None:
    write_manifest(manifest, tmp_path / "m.json")
    assert read_manifest(tmp_path / "m.json") == manifest


def test_names_that_are_not_unicode_are_kept(tmp_path: Path) -> None:
    source = SOURCE.model_copy(update={"name": "a\udcff.mp4", "frames": 10})
    manifest = make_manifest(source, [piece(0, file="a\udcff-1.mp4")])
    write_manifest(manifest, tmp_path / "m.json")
    assert read_manifest(tmp_path / "m.json") == manifest


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("source.frames", 0, "source.frames: must be at least 1"),
        ("source.frames", 10**8 + 1, "source.frames: must be at most 100000000"),
        ("source.frames", True, "source.frames: is not a whole number"),
        ("source.frames", 20.0, "source.frames: is not a whole number"),
        ("source.size", 0, "source.size: must be at least 1"),
        ("source.size", 2**63, "source.size: must be at most"),
        ("source.duration", "secret", "source.duration: is not a number"),
        ("source.duration", float("nan"), "source.duration: is not a finite number"),
        ("source.duration", -1, "source.duration: must be at least 0"),
        ("source.time_base", "1/0", "source.time_base: is not a ratio"),
        ("source.time_base", "1/" + "9" * 11, "source.time_base: is not a ratio"),
        ("source.rate", 25, "source.rate: is not a ratio"),
        ("source.sha256", "F" * 64, "source.sha256: must match the pattern"),
        ("source.name", "folder/secret.mp4", "source.name: is not a name without a folder"),
        ("source.secret", 1, "source.secret: unknown key"),
        ("pieces.1.file", "..", r"pieces[1].file: is not a name without a folder"),
        ("pieces.1.file", "a-0.mp4", "pieces: two have the same file name"),
        ("pieces.1.first", -1, "pieces[1].first: must be at least 0"),
        ("pieces.1.first_pts", 2**63, "pieces[1].first_pts: must be at most"),
        ("pieces.1.last_pts", -(2**63), "pieces[1].last_pts: must be at least"),
        ("pieces.1.last_pts", 0, "pieces[1]: ends before it begins"),
        ("pieces.1.secret", 1, "pieces[1].secret: unknown key"),
        ("pieces.1", [], "pieces[1]: is not an object"),
        ("pieces", {}, "pieces: is not a list"),
        ("id", "secret", "id: is not that of this source and these pieces"),
        ("secret", 1, "secret: unknown key"),
        ("version", 2, "its version is not supported"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(
    place: str, value: object, words: str, manifest: Manifest, tmp_path: Path
) -> None:
    path = tmp_path / "m.json"
    write_manifest(manifest, path)
    data = json.loads(path.read_text("utf-8"))
    *parents, last = [int(key) if key.isdigit() else key for key in place.split(".")]
    target = data
    for key in parents:
        target = target[key]
    target[last] = value
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(UsageError) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {words}")
    assert "\n" not in message
    assert "secret" not in message.replace(place, "").removeprefix(f"{path}: {words}")


def test_a_manifest_and_its_pieces_cannot_be_changed(manifest: Manifest) -> None:
    with pytest.raises(ValidationError):
        manifest.pieces[0].frames = 5
