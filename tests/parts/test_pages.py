"""The programs of docs/parts run as they stand, and do what their pages say."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as Pillow

from app.faces import load_detector
from app.geometry import iou
from app.types import Image
from app.video import open_source
from testmedia.clip import Clip
from testmedia.truth import Seen
from tests.faces_media import photograph, ready, scaled

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (ROOT / "docs" / "parts").glob("*.md") if path.name != "README.md")
Clips = Callable[[str], Clip]


def program(page: str) -> str:
    """The program of a page."""
    text = (ROOT / "docs" / "parts" / f"{page}.md").read_text("utf-8")
    (found,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    return str(found)


def run(page: str, folder: Path) -> None:
    """Run the program of a page in a folder with its clip."""
    done = subprocess.run(
        [sys.executable, "-c", program(page)], cwd=folder, env={"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture
def folder(tmp_path: Path, people: Path) -> Path:
    shutil.copytree(people, tmp_path / "people")
    return tmp_path


def pictures(path: Path) -> list[Image]:
    return [frame.rgb() for frame in open_source(path)]


def changed(folder: Path, face: Seen) -> float:
    """Return the part of a face that differs by more than ten grey levels in the result."""
    before, after = (pictures(folder / name)[face.frame] for name in ("clip.mp4", "hidden.mp4"))
    x1, y1, x2, y2 = (max(0, round(value)) for value in face.box)
    difference = np.abs(before[y1:y2, x1:x2].astype(int) - after[y1:y2, x1:x2]).max(axis=2)
    return float((difference > 10).mean())


def test_every_part_has_a_page() -> None:
    assert [path.stem for path in PAGES] == [
        "detector", "effect", "policy", "recogniser", "shot-detector"
    ]  # fmt: skip


@pytest.mark.parametrize("page", [path.stem for path in PAGES])
def test_a_program_is_short(page: str) -> None:
    assert len([line for line in program(page).splitlines() if line]) < 40


def test_the_detector_finds_faces_that_lie_on_their_side(folder: Path) -> None:
    """Boxes and landmarks are those of the upright portrait, turned with it."""
    _still(scaled(photograph("obama.jpg"), 320), folder / "clip.mp4")
    run("detector", folder)
    space: dict[str, object] = {}
    exec(program("detector").partition("media, settings")[0], space)
    upright = load_detector(ready("open", "detector"), precision="float")
    both = space["AnyOrientation"](upright)  # type: ignore[operator]
    picture = scaled(photograph("obama.jpg"), 320)
    (expected,) = upright.detect([picture])
    height, width = picture.shape[:2]
    for way in (1, 3):
        lying = np.ascontiguousarray(np.rot90(picture, way))
        (found,) = both.detect([lying])
        (x1, y1, x2, y2) = expected.boxes[0]
        box = (y1, width - x2, y2, width - x1) if way == 1 else (height - y2, x1, height - y1, x2)
        assert iou(np.asarray([box], np.float32), found.boxes).max() > 0.95
        assert len(found) == 1


def _still(picture: Image, path: Path) -> None:
    """A video that repeats one image."""
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        even = np.ascontiguousarray(picture[:height, :width])
        for _ in range(6):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        output.mux(stream.encode(None))


def test_the_effect_hides(folder: Path, clip: Clips) -> None:
    made = clip("calm")
    shutil.copy(made.path, folder / "clip.mp4")
    run("effect", folder)
    assert min(changed(folder, face) for face in made.truth.at(10)) > 0.5


def test_the_policy_hides_everybody_but_the_host(folder: Path, clip: Clips) -> None:
    made = clip("calm")
    shutil.copy(made.path, folder / "clip.mp4")
    run("policy", folder)
    assert min(changed(folder, face) for face in made.truth.at(10)) > 0.3
    (folder / "people" / "obama").rename(folder / "people" / "host-obama")
    (folder / "hidden.mp4").unlink()
    run("policy", folder)
    shares = {face.person: changed(folder, face) for face in made.truth.at(10)}
    assert shares.pop("obama") < 0.05
    assert min(shares.values()) > 0.3


def test_the_recogniser_distinguishes_portraits(folder: Path, clip: Clips) -> None:
    """The reference photo is the portrait that the clip shows."""
    made = clip("calm")
    shutil.copy(made.path, folder / "clip.mp4")
    shutil.rmtree(folder / "people")
    (folder / "people").mkdir()
    _portrait(made, "obama", folder / "people" / "obama.png")
    run("recogniser", folder)
    shares = {face.person: changed(folder, face) for face in made.truth.at(10)}
    assert shares.pop("obama") > 0.3
    assert max(shares.values()) < 0.05


def _portrait(made: Clip, person: str, path: Path) -> None:
    """A still of the clip around one person."""
    (face,) = (one for one in made.truth.at(0) if one.person == person)
    x1, y1, x2, y2 = (round(value) for value in face.box)
    wide, high = x2 - x1, y2 - y1
    picture = pictures(made.path)[0][max(0, y1 - high) : y2 + high, max(0, x1 - wide) : x2 + wide]
    Pillow.fromarray(np.ascontiguousarray(picture)).save(path)


def test_the_shot_detector_cuts_where_the_light_changes(folder: Path, clip: Clips) -> None:
    made = clip("cuts")
    shutil.copy(made.path, folder / "clip.mp4")
    run("shot-detector", folder)
    space: dict[str, object] = {}
    exec(program("shot-detector").partition("media, settings")[0], space)
    detector = space["BrightnessShots"](2)  # type: ignore[operator]
    found = [cut for frame in open_source(made.path) for cut in detector.push(frame)]
    assert set(made.truth.cuts) <= set(found)
    assert len(found) < 10
    assert detector.flush() == []
