"""The entry point of the image, and the build script without an engine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the image's folders, whose programs print how they were called."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "entrypoint.sh", tmp_path / "scripts")
    (tmp_path / "bin").mkdir()
    for program in (tmp_path / "serve", tmp_path / "bin" / "python3"):
        program.write_text(f'#!/bin/sh\necho {program.name} "$@" "$PYTHONPATH"\nexit 7\n')
        program.chmod(0o755)
    return tmp_path


def enter(home: Path, *arguments: str) -> tuple[int, str]:
    path = f"{home / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [home / "scripts" / "entrypoint.sh", *arguments],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_serve_starts_the_service(home: Path) -> None:
    assert enter(home, "serve") == (7, f"serve {home}\n")


def test_process_starts_the_processing_job(home: Path) -> None:
    told = f"python3 -m app.job --input a b {home}\n"
    assert enter(home, "process", "--input", "a b") == (7, told)


def test_other_arguments_are_a_command_of_face_blur(home: Path) -> None:
    told = f"python3 -m app.cli blur a b.mp4 {home}\n"
    assert enter(home, "blur", "a b.mp4") == (7, told)
    assert enter(home) == (7, f"python3 -m app.cli {home}\n")


def test_nothing_is_imported_from_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise SystemExit('the wrong program')\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [ROOT / "scripts" / "entrypoint.sh", "models", "verify", "dlib"],
        env=os.environ | {"PATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "dlib: ready\n"), done.stderr


def without_engine(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the build script where no engine answers."""
    environment = {name: value for name, value in os.environ.items() if name != "ENGINE_HOOK"}
    environment |= {"ENGINE": "docker", "DOCKER_HOST": f"unix://{folder}/none"}
    environment |= {"XDG_CACHE_HOME": str(folder)}
    return subprocess.run(
        [ROOT / "scripts" / "image.sh", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_an_engine_the_build_gives_a_reason(tmp_path: Path) -> None:
    done = without_engine(tmp_path, "build", "cpu")
    assert done.returncode == 1
    assert "no running engine was found; tried: docker" in done.stderr


def test_without_an_engine_no_bill_of_materials_is_written(tmp_path: Path) -> None:
    done = without_engine(tmp_path, "sbom", "cpu", tmp_path / "sbom.json")
    assert done.returncode == 1
    reason = "no running engine was found; tried: docker"
    assert f"NO BILL OF MATERIALS WAS WRITTEN: {reason}." in done.stderr.splitlines()
    assert not (tmp_path / "sbom.json").exists()


def test_the_script_prints_its_usage() -> None:
    script = ROOT / "scripts" / "image.sh"
    done = subprocess.run([script, "smok"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "scripts/image.sh smoke cpu|cuda" in done.stderr
    assert "scripts/image.sh push" in done.stderr
