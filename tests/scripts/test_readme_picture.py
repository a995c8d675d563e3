"""The picture of the README: it shows what its caption says, and is small."""

from pathlib import Path

from PIL import Image

from scripts.readme_picture import OUTPUT, draw


def test_the_listed_person_is_hidden_and_the_other_is_not(tmp_path: Path) -> None:
    plan = draw(tmp_path, tmp_path / "sheet.jpg")
    assert {(track.person, track.decision) for track in plan.tracks} == {
        ("obama", "blur"),
        (None, "keep"),
    }
    with Image.open(tmp_path / "sheet.jpg") as drawn, Image.open(OUTPUT) as kept:
        assert drawn.size == kept.size


def test_the_kept_image_is_small() -> None:
    assert OUTPUT.stat().st_size <= 300_000
