"""What results are called."""

from pathlib import Path

import pytest

from app.errors import OutputError
from app.pipeline import output_for, outputs
from app.video import check_output, open_source
from testmedia.fetch import fetch


def test_a_film_that_its_own_container_cannot_hold_becomes_matroska(
    carphone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, output: Path) -> list[str]:
        if output.suffix != ".mkv":
            raise OutputError("cannot hold it; write to .mkv")
        return check_output(path, output)

    info = open_source(carphone).info
    assert output_for(carphone, info).suffix == ".mp4"
    monkeypatch.setattr(outputs, "check_output", refuse)
    assert output_for(carphone, info).suffix == ".mkv"
    with pytest.raises(OutputError):
        output_for(fetch("obama.jpg"), open_source(fetch("obama.jpg")).info)
