"""The benchmarks page and its plots."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from bench import report
from bench.report import plot

COST = {"cpu": 1.0, "clock": 1.0, "memory": 300.0}
SPEED = [
    {
        "table": table,
        "clip": "360 lines",
        "command": "blur",
        "frames": frames,
        "cost": COST,
        "ratio": 1.5,
        "note": "",
    }
    for table, frames in (("sizes", 100), ("length", 750), ("length", 7500))
]
STRENGTH = [
    {"attacker": "same", "method": "blur", "size": size, "rank1": 0.1} for size in (32, 64, 128)
]
QUALITY = [
    {"choice": choice, "score": {"leaks": 0, "targets": 10, "spills": 1, "others": 20}}
    for choice in ("listed", "everyone")
]


@pytest.mark.parametrize(
    ("name", "figures"), [("speed", SPEED), ("strength", STRENGTH), ("quality", QUALITY)]
)
def test_figures_are_drawn(name: str, figures: list[dict[str, object]], tmp_path: Path) -> None:
    path = tmp_path / "images" / f"{name}.png"
    assert plot(name, figures, path)
    with PillowImage.open(path) as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 2


@pytest.mark.parametrize("name", ["identity", "speed"])
def test_parts_without_figures_have_no_plot(name: str, tmp_path: Path) -> None:
    path = tmp_path / "none.png"
    assert not plot(name, [], path)
    assert not path.exists()


def test_the_page_has_every_part_with_command_and_plot() -> None:
    parts = {name: (f"| table of {name} |", 61.4) for name in report.PARTS}
    page = report.page(parts, {"speed": "images/speed.png"}, quick=True)
    for name, title in report.PARTS.items():
        assert f"## {title}\n" in page
        assert f"`python -m bench.{name} --quick`, 61 s." in page
        assert f"| table of {name} |" in page
    assert page.count("![") == 1
    assert "make bench QUICK=1" in page
    assert "onnxruntime" in page


def test_a_failed_part_makes_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    page = tmp_path / "page.md"
    with pytest.raises(RuntimeError, match=r"bench\.quality ended with exit code 7"):
        report.main(["--output", str(page)])
    assert not page.exists()


def test_the_script_has_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.report", "--help"], check=True, capture_output=True, text=True
    )
    assert "--quick" in done.stdout
