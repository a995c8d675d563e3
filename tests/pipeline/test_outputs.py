"""Names of results."""

from pathlib import Path
from typing import Any

import pytest

from app.errors import OutputError
from app.pipeline import default_output, outputs
from app.video import Media, check_output
from testmedia.fetch import fetch


def test_a_video_that_its_own_container_cannot_hold_becomes_matroska(
    carphone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(media: Media, output: Path, **options: Any) -> list[str]:
        if output.suffix != ".mkv":
            raise OutputError("cannot hold it; write to .mkv")
        return check_output(media, output, **options)

    assert default_output(Media(carphone), tmp_path).suffix == ".mp4"
    monkeypatch.setattr(outputs, "check_output", refuse)
    assert default_output(Media(carphone), tmp_path).suffix == ".mkv"
    with pytest.raises(OutputError):
        default_output(Media(fetch("obama.jpg")), tmp_path)
