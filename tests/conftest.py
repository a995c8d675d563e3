"""Fixtures that several folders of tests share."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testmedia.clip import Clip, write_clip
from testmedia.fetch import fetch
from testmedia.scenes import SCENES
from tests.browsers import chromium


def pytest_configure(config: pytest.Config) -> None:
    """Give each worker of pytest-xdist one CPU: models and codecs would use all of them."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpus[int(worker.removeprefix("gw")) % len(cpus)]})


SLOW_FOLDERS = frozenset(
    {"aws", "bench", "docs", "examples", "gpu", "hostile", "image", "job", "local"}
    | {"parts", "pieces", "scripts", "storage", "verification", "web"}
)
"""Folders of tests that start processes or servers."""
SLOW_MODULES = frozenset(
    {"test_commands", "test_crowd", "test_extras", "test_fetch", "test_project"}
    | {
        "test_report_browser",
        "test_smart_browser",
        "test_transnet",
        "test_truth",
        "test_turned",
        "test_video_sink",
    }
)
"""Modules of tests that start processes, or follow faces through many clips."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that ``make test FAST=1`` leaves out."""
    for item in items:
        if item.path.parent.name in SLOW_FOLDERS or item.path.stem in SLOW_MODULES:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Clip]:
    """The clip of a scene of ``testmedia.scenes.SCENES`` by its name, made once in a session."""
    folder = tmp_path_factory.mktemp("clips")
    made: dict[str, Clip] = {}

    def make(name: str) -> Clip:
        if name not in made:
            made[name] = write_clip(SCENES[name](), folder / f"{name}.mp4")
        return made[name]

    return make


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of reference photos of Obama; most clips show other photos of him."""
    folder = tmp_path_factory.mktemp("people")
    (folder / "obama").mkdir()
    for name in ("obama2.jpg", "obama3.jpg"):
        shutil.copy(fetch(name), folder / "obama" / name)
    return folder


@pytest.fixture(scope="session")
def carphone() -> Path:
    """A real clip of a man talking in a car: 176 x 144, 120 frames, no sound."""
    return fetch("carphone.mp4")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of material that is only on some machines; the test is skipped elsewhere."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the shared material beside the checkout")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium. There is one: a second one cannot be driven in the same process."""
    with chromium() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _ordinary_priority() -> Iterator[None]:
    """SVT-AV1 may take a real-time priority, which starves all other processes."""
    yield
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
