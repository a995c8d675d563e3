"""A face selected in a crowd: its references come from the same video, in the same light."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from app.config import Settings
from app.faces import load_detector
from app.geometry import iou
from app.identity.gallery import Gallery
from app.pipeline import FaceBlur, load_parts
from app.plan import Plan
from testmedia.clip import write_clip
from testmedia.photos import BIDEN, OBAMA, Photo
from testmedia.scene import Actor, Background, Scene, Shot, keys
from testmedia.truth import Truth, leaked
from testmedia.turned import AVAILABLE, PHOTOS
from tests.faces_media import ready

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs the photographs beside the checkout")
SIZE = (1280, 720)
WIDTH = 64
FRAMES = 24
CHOSEN = "lfw-hugo-chavez"
GREY = Background((120, 120, 120), (0.5, 0.0), seed=6)


def _portrait(person: str) -> Photo:
    """The first photograph of a person with exactly one face, and its rectangle."""
    detector = load_detector(ready("open", "detector"), precision="float")
    for path in sorted((PHOTOS / person).iterdir()):
        image = cv2.cvtColor(np.asarray(cv2.imread(str(path))), cv2.COLOR_BGR2RGB)
        (faces,) = detector.detect([np.asarray(image, np.uint8)])
        sure = faces.take(np.flatnonzero(faces.scores >= 0.7))
        if len(sure) == 1:
            x1, y1, x2, y2 = (round(float(side)) for side in sure.boxes[0])
            return Photo(person, str(path), (max(0, x1), max(0, y1), x2, y2))
    raise AssertionError(f"no portrait of {person}")


def _grid(photos: list[Photo], across: int) -> tuple[Actor, ...]:
    """People in rows, each moving slightly."""
    out = []
    for number, photo in enumerate(photos):
        x = 110 + (number % across) * (SIZE[0] - 200) / max(across - 1, 1)
        y = 110 + number // across * 230
        out.append(Actor(photo, keys({0: (x, y), FRAMES - 1: (x + 12, y + 8)}), WIDTH))
    return tuple(out)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    """Eighteen people in one shot, and nine of them elsewhere in the next."""
    names = sorted(path.name for path in PHOTOS.iterdir() if path.name.startswith(("df-", "lfw-")))
    people = [*map(_portrait, [*names, "vgg-n008937"]), OBAMA, BIDEN]
    assert len(people) == 18
    again = [photo for n, photo in enumerate(people) if n % 2 or photo.person == CHOSEN]
    shots = (Shot(FRAMES, _grid(people, 6), GREY), Shot(FRAMES, _grid(again[::-1], 5), GREY))
    clip = write_clip(Scene(SIZE, shots), tmp_path_factory.mktemp("crowd") / "crowd.mp4")
    return clip.path, clip.truth


def _hidden(plan: Plan, truth: Truth) -> set[tuple[int, str]]:
    """Shot and name of each face that is hidden."""
    found = set()
    for shot, frame in enumerate((FRAMES // 2, FRAMES + FRAMES // 2)):
        boxes = plan.regions_at(frame)
        for face in truth.at(frame):
            if len(boxes) and iou(np.asarray([face.box], np.float32), boxes).max() > 0.3:
                found.add((shot, face.person))
    return found


@pytest.mark.parametrize("pack", ["open", "dlib"])
def test_selecting_one_of_a_crowd_hides_at_most_one_more(
    pack: str, crowd: tuple[Path, Truth]
) -> None:
    ready(pack)
    path, truth = crowd
    face = next(face for face in truth.at(10) if face.person == CHOSEN)
    middle = ((face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2)
    settings = Settings(select=((10, *middle),), models=pack)
    plan = FaceBlur(settings, parts=load_parts(settings), gallery=Gallery(())).analyse(path)
    assert not leaked(truth, plan, [CHOSEN], share=0.9, margin=0.2)
    hidden = _hidden(plan, truth)
    assert {(0, CHOSEN), (1, CHOSEN)} <= hidden
    assert len(hidden) <= 2 + 1
    excluded = [track for track in plan.tracks if "is another face here" in track.reason]
    assert all(track.uncertain and track.decision == "keep" for track in excluded)
