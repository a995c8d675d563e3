"""The synthetic clips agree with their truth."""

from collections.abc import Callable
from dataclasses import dataclass, field

import av
import cv2
import numpy as np
import pytest

from app.types import Boxes, Image
from testmedia.clip import Clip
from testmedia.fetch import fetch
from testmedia.photos import BIDEN, OBAMA, Photo
from testmedia.scene import NTSC, Actor, Background, Scene, Shot, keys
from testmedia.scenes import SCENES
from testmedia.truth import covered, leaked, spilled

Maker = Callable[[str], Clip]


@dataclass
class Hidden:
    """A plan that hides the same boxes in every frame, or those of some frames."""

    boxes: dict[int, list[tuple[float, float, float, float]]] = field(default_factory=dict)

    def regions_at(self, frame: int) -> Boxes:
        return np.asarray(self.boxes.get(frame, []), np.float32).reshape(-1, 4)


def pixels(photo: Photo, side: int) -> Image:
    picture = cv2.imread(str(fetch(photo.medium)))
    assert picture is not None
    x1, y1, x2, y2 = photo.face
    face = cv2.resize(picture[y1:y2, x1:x2, ::-1], (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(face, np.uint8)


def alike(a: Image, b: Image) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.mark.parametrize("size", [24, 37.5, 80, 242, 400])
def test_the_face_lies_where_the_truth_says(size: float) -> None:
    actor = Actor(OBAMA, keys({0: (400, 300), 2: (401.5, 300.25)}), size)
    wanted = pixels(OBAMA, 48)
    for picture, seen in Scene((800, 640), (Shot(3, (actor,)),)).pictures():
        box = np.asarray(seen[0].box)
        assert seen[0].width == pytest.approx(size)
        shifts = {}
        for dx, dy in ((0, 0), (0.04, 0), (-0.04, 0), (0, 0.04), (0, -0.04)):
            x1, y1, x2, y2 = box + np.tile((dx * size, dy * size), 2)
            matrix = np.asarray([[48 / (x2 - x1), 0, 0], [0, 48 / (y2 - y1), 0]])
            matrix[:, 2] = -matrix[0, 0] * (x1 - 0.5) - 0.5, -matrix[1, 1] * (y1 - 0.5) - 0.5
            shrunk = cv2.GaussianBlur(picture, (0, 0), max(0.01, size / 48 / 3))
            found = cv2.warpAffine(shrunk, matrix, (48, 48), flags=cv2.INTER_LINEAR)
            shifts[dx, dy] = alike(np.asarray(found, np.uint8), wanted)
        assert max(shifts, key=lambda shift: shifts[shift]) == (0, 0)
        assert shifts[0, 0] > 0.95


@pytest.mark.parametrize("name", ["cuts", "sizes", "crowd"])
def test_the_file_agrees_with_the_truth(clip: Maker, name: str) -> None:
    made = clip(name)
    with av.open(str(made.path)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height) == made.truth.size
        assert video.average_rate == made.truth.rate == NTSC
        assert video.frames == made.truth.frames == SCENES[name]().frames
        assert sound.duration is not None
        assert sound.time_base is not None
        seconds = float(sound.duration * sound.time_base)
    assert seconds == pytest.approx(made.truth.frames / float(NTSC), abs=0.05)


def test_the_image_changes_at_the_cuts_and_only_there(clip: Maker) -> None:
    made = clip("cuts")
    with av.open(str(made.path)) as container:
        means = [
            frame.to_ndarray(format="rgb24").mean(axis=(0, 1))
            for frame in container.decode(video=0)
        ]
    steps = np.abs(np.diff(means, axis=0)).max(axis=1)
    assert (np.flatnonzero(steps > 20) + 1).tolist() == list(made.truth.cuts) == [20, 35, 38]


def test_people_leave_and_come_back(clip: Maker) -> None:
    seen = {face.frame for face in clip("comes_back").truth.faces if face.person == "obama"}
    assert {0, 79} <= seen
    assert not seen & set(range(20, 51))


def test_each_edge_cuts_a_face_off(clip: Maker) -> None:
    truth = clip("edges").truth
    for shot in range(4):
        shares = [face.visible for face in truth.faces if face.frame // 40 == shot]
        assert min(shares) < 0.5
        assert max(shares) == 1.0


def test_objects_in_front_hide_faces_behind_them(clip: Maker) -> None:
    crossing = [face.visible for face in clip("crossing").truth.faces if face.person == "biden"]
    assert min(crossing) < 0.1
    assert all(f.visible == 1 for f in clip("crossing").truth.faces if f.person == "obama")
    pillar = clip("occlusion").truth
    assert any(not any(f.person == "obama" for f in pillar.at(n)) for n in range(60))
    assert all(f.visible == 1 for f in pillar.faces if f.person == "biden")


def test_fades_go_to_black_and_back(clip: Maker) -> None:
    lights = [face.light for face in clip("fades").truth.faces]
    assert lights[0] < 0.1
    assert lights[25] == 1.0
    assert lights[-1] < 0.1


def test_one_more_scene_is_the_same_scene() -> None:
    first, second = (next(iter(SCENES["crowd"]().pictures())) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert first[1] == second[1]


def test_backgrounds_differ_by_seed() -> None:
    a, b = (Background(seed=seed).texture((64, 48)) for seed in (1, 2))
    assert not np.array_equal(a, b)


def test_leaks_are_found() -> None:
    actors = (Actor(OBAMA, keys({0: (200, 160)}), 60), Actor(BIDEN, keys({0: (400, 160)}), 60))
    truth = Scene((640, 360), (Shot(3, actors),)).truth()
    boxes = {face.frame: [face.box] for face in truth.faces if face.person == "obama"}
    assert leaked(truth, Hidden(boxes), {"obama"}) == []
    assert spilled(truth, Hidden(boxes), {"obama"}) == []
    assert [face.frame for face in leaked(truth, Hidden(boxes), {"biden"})] == [0, 1, 2]
    assert [face.person for face in spilled(truth, Hidden(boxes), {"biden"})] == ["obama"] * 3
    del boxes[1]
    assert [face.frame for face in leaked(truth, Hidden(boxes), {"obama"})] == [1]


def test_a_box_that_hides_a_part_only_is_a_leak() -> None:
    truth = Scene((640, 360), (Shot(1, (Actor(OBAMA, keys({0: (200, 160)}), 60),)),)).truth()
    x1, y1, x2, y2 = truth.faces[0].box
    most, less = y1 + 0.85 * (y2 - y1), y1 + 0.75 * (y2 - y1)
    assert leaked(truth, Hidden({0: [(x1, y1, x2, most)]}), {"obama"}) == []
    assert len(leaked(truth, Hidden({0: [(x1, y1, x2, less)]}), {"obama"})) == 1
    assert leaked(truth, Hidden({0: [(x1, y1, x2, less)]}), {"obama"}, margin=0.2) == []


def test_covered_counts_overlaps_once() -> None:
    boxes = np.asarray([[0, 0, 5, 10], [0, 0, 5, 10], [20, 20, 30, 30]], np.float32)
    assert covered((0, 0, 10, 10), boxes, (100, 100)) == pytest.approx(0.5)
    assert covered((0, 0, 10, 10), np.zeros((0, 4), np.float32), (100, 100)) == 0.0
    assert covered((200, 0, 210, 10), boxes, (100, 100)) == 1.0
