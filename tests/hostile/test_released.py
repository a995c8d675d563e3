"""Files and threads are released with each result and each error, without the garbage collector."""

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import FaceBlur, FaceBlurError, Media, Settings
from testmedia.faces import NAMES, seed
from testmedia.mutants import corpus

COUNT = 100


@pytest.fixture(scope="module")
def face_blur() -> FaceBlur:
    return FaceBlur(Settings(blur="everyone")).load()


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def held() -> list[int]:
    """Return the numbers of open files and of threads of this process."""
    return [len([*Path(f"/proc/self/{name}").iterdir()]) for name in ("fd", "task")]


def released(before: list[int]) -> bool:
    """Whether the same numbers are reached: the system removes a thread after it has ended."""
    end = time.monotonic() + 2
    while held() != before and time.monotonic() < end:
        time.sleep(0.01)
    return held() == before


def blur(face_blur: FaceBlur, path: Path, output: Path) -> str:
    """Return the code of the outcome."""
    try:
        face_blur.blur(Media(path), output, overwrite=True)
    except FaceBlurError as error:
        return error.code
    return "ok"


def files(folder: Path, data: dict[str, bytes]) -> Iterator[Path]:
    for name, content in data.items():
        path = folder / name
        path.write_bytes(content)
        yield path


@pytest.mark.parametrize("kind", ["whole", "damaged"])
@pytest.mark.usefixtures("no_collector")
def test_nothing_stays_open(face_blur: FaceBlur, tmp_path: Path, kind: str) -> None:
    data = {name: seed(name).data for name in NAMES}
    inputs = [*files(tmp_path, data)]
    for path in inputs:  # some threads are started at the first use, and stay
        assert blur(face_blur, path, tmp_path / f"out{path.suffix}") == "ok"
    gc.collect()
    before, running = held(), set(threading.enumerate())
    if kind == "damaged":
        inputs = [*files(tmp_path, {one.name: one.data for one in corpus(COUNT)})]
    codes = set()
    for path in inputs:
        codes.add(blur(face_blur, path, tmp_path / f"out{path.suffix}"))
        assert set(threading.enumerate()) == running
        assert released(before), path.name
    assert ("ok" in codes, len(codes) > 2) == (True, kind == "damaged")
