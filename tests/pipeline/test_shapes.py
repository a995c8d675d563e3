"""Videos and images on their side, with pixels that are not square, and with short appearances.

The truth is known. A face counts as hidden if the result is black there, measured in its pixels.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from app.config import Settings
from app.pipeline import FaceBlur, Parts, load_parts, load_people
from app.plan import Plan
from app.types import Image
from testmedia.clip import Clip, write_clip
from testmedia.fetch import fetch
from testmedia.glimpses import glimpses
from testmedia.photos import BIDEN, OBAMA
from testmedia.reshape import Reshape
from testmedia.scene import Actor, Background, Scene, Shot, keys
from testmedia.truth import Seen
from tests.faces_media import ready

BLACK = 40
"""Brightest luma of a hidden pixel, after compression."""
ASPECTS = [Fraction(*pair) for pair in ((4, 3), (2, 1), (3, 1), (4, 1), (1, 2), (1, 4))]


def two_people(frames: int = 12) -> Scene:
    obama = Actor(OBAMA, keys({0: (180, 150), 11: (200, 160)}), 60)
    biden = Actor(BIDEN, keys({0: (460, 170), 11: (450, 160)}), 60)
    return Scene((640, 360), (Shot(frames, (obama, biden), Background((150, 140, 160))),))


def late(first: int) -> Scene:
    """One person, who comes after some empty looks and stays."""
    person = Actor(OBAMA, keys({0: (300, 170)}), 60, enter=first)
    return Scene((640, 360), (Shot(first + 20, (person,), Background((150, 140, 160))),))


@pytest.fixture(scope="module")
def parts(people: Path) -> Parts:
    ready("open")
    return load_parts(Settings(people=people))


def is_hidden(image: Image, face: Seen) -> bool:
    """Whether the ellipse of a face is black."""
    x1, y1, x2, y2 = face.box
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    across, down = (x - (x1 + x2) / 2) / (x2 - x1), (y - (y1 + y2) / 2) / (y2 - y1)
    inside = across**2 + down**2 <= 0.5**2
    return bool((image.max(axis=2)[inside] <= BLACK).mean() >= 0.95)


def visible_faces(clip: Clip, output: Path) -> list[Seen]:
    """The faces that are not black in the result."""
    with av.open(str(output)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    images = [np.asarray(frame, np.uint8) for frame in frames]
    assert len(images) == clip.truth.frames
    seen = [face for face in clip.truth.faces if face.visible >= 0.6]
    assert seen
    return [face for face in seen if not is_hidden(images[face.frame], face)]


def hidden(clip: Clip, parts: Parts, **settings: object) -> tuple[list[Seen], Plan]:
    """The faces that stay visible, and the plan."""
    output = clip.path.with_name("output.mp4")
    chosen = Settings(**{"effect": "solid", **settings})
    plan = FaceBlur(chosen, parts=parts).blur(clip.path, output)
    return visible_faces(clip, output), plan


@pytest.mark.parametrize("aspect", ASPECTS, ids=str)
def test_faces_in_wide_and_in_high_pixels_are_hidden(
    aspect: Fraction, parts: Parts, tmp_path: Path
) -> None:
    clip = write_clip(two_people(), tmp_path / "clip.mp4", shape=Reshape(aspect=aspect))
    left, plan = hidden(clip, parts)
    assert not left
    assert len(plan.tracks) == 2


def test_people_are_recognised_in_wide_pixels(parts: Parts, people: Path, tmp_path: Path) -> None:
    clip = write_clip(two_people(), tmp_path / "clip.mp4", shape=Reshape(aspect=Fraction(3)))
    gallery = load_people(people, parts)
    plan = FaceBlur(Settings(people=people), parts=parts, gallery=gallery).analyse(clip.path)
    (track,) = (track for track in plan.tracks if track.decision == "blur")
    assert track.person == "obama"
    assert track.boxes[:, [1, 3]].mean() < 640 / 3 / 2, "the left half of the stored frame"


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_faces_that_lie_on_their_side_or_head_are_hidden(
    turns: int, parts: Parts, tmp_path: Path
) -> None:
    clip = write_clip(two_people(), tmp_path / "clip.mp4", shape=Reshape(turns))
    left, plan = hidden(clip, parts)
    assert not left
    assert len(plan.tracks) == 2


def test_faces_on_their_head_are_hidden_from_their_first_frame_on(
    parts: Parts, tmp_path: Path
) -> None:
    """They are found late, and the frames before are looked at again."""
    clip = write_clip(late(45), tmp_path / "clip.mp4", shape=Reshape(2))
    left, plan = hidden(clip, parts)
    assert not left
    assert plan.tracks[0].first >= 45 - 3


def test_people_are_recognised_on_their_side(parts: Parts, people: Path, tmp_path: Path) -> None:
    clip = write_clip(two_people(), tmp_path / "clip.mp4", shape=Reshape(1))
    gallery = load_people(people, parts)
    plan = FaceBlur(Settings(people=people), parts=parts, gallery=gallery).analyse(clip.path)
    (track,) = (track for track in plan.tracks if track.decision == "blur")
    assert (track.person, track.uncertain) == ("obama", False)


def test_the_rotation_may_be_given_or_forbidden(parts: Parts, tmp_path: Path) -> None:
    clip = write_clip(two_people(), tmp_path / "clip.mp4", shape=Reshape(2))
    assert not hidden(clip, parts, rotate="180")[0]
    assert FaceBlur(Settings(rotate="none"), parts=parts).analyse(clip.path).tracks == ()


def test_upright_clips_are_not_turned(parts: Parts, tmp_path: Path) -> None:
    clip = write_clip(two_people(30), tmp_path / "clip.mp4")
    plans = [
        FaceBlur(Settings(rotate=rotate), parts=parts).analyse(clip.path)
        for rotate in ("auto", "none")
    ]
    first, second = (
        [(track.first, track.last, track.boxes.tolist()) for track in plan.tracks] for plan in plans
    )
    assert first == second


@pytest.mark.parametrize(("length", "rate", "every"), [(1, 25, 5), (2, 25, None), (1, 8, None)])
def test_faces_that_are_visible_for_few_frames_are_hidden(
    length: int, rate: int, every: int | None, parts: Parts, tmp_path: Path
) -> None:
    scene = glimpses(length, count=8, rate=rate, every=every)
    assert not hidden(write_clip(scene, tmp_path / "clip.mp4"), parts)[0]


def photo(turns: int = 0, aspect: int = 1) -> Image:
    image = cv2.imread(str(fetch("obama.jpg")))
    assert image is not None
    small = cv2.resize(image[..., ::-1], (image.shape[1] // 2 // aspect, image.shape[0] // 2))
    return np.ascontiguousarray(np.rot90(small, -turns)).astype(np.uint8)


def hides_something(path: Path, parts: Parts) -> bool:
    return bool(FaceBlur(Settings(), parts=parts).analyse(path).tracks)


def test_images_on_their_head_are_turned(parts: Parts, tmp_path: Path) -> None:
    Pillow.fromarray(photo(turns=2)).save(tmp_path / "a.png")
    assert hides_something(tmp_path / "a.png", parts)


@pytest.mark.parametrize(("aspect", "dpi"), [(4, (72, 288)), (1, (72, 288)), (1, (288, 72))])
def test_images_are_seen_as_stored_and_by_their_resolution(
    aspect: int, dpi: Sequence[int], parts: Parts, tmp_path: Path
) -> None:
    Pillow.fromarray(photo(aspect=aspect)).save(tmp_path / "a.jpg", dpi=dpi)
    assert hides_something(tmp_path / "a.jpg", parts)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_reference_photos_may_lie_on_their_side(turns: int, parts: Parts, tmp_path: Path) -> None:
    people, upright = tmp_path / "people", tmp_path / "upright"
    for folder, turn in ((people, turns), (upright, 0)):
        folder.mkdir()
        Pillow.fromarray(photo(turns=turn)).save(folder / "obama.png")
    (one,), (other,) = load_people(people, parts).people, load_people(upright, parts).people
    assert float(one.embeddings[0] @ other.embeddings[0]) > 0.99


def test_a_scene_of_glimpses_has_them() -> None:
    assert [face.frame for face in glimpses(1, count=2, every=5).truth().faces] == [5, 10]
