"""Images that are partly transparent: faces in colours, in opacity, or in both."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from app.config import Settings
from app.faces import load_detector
from app.identity.scale import Scale
from app.pipeline import FaceBlur, Parts
from app.pipeline.chips import SEE_THROUGH, cut_chip
from app.pipeline.views import is_see_through, views
from app.plan import ModelRecord, ModelsRecord
from app.tracking.observations import Observation
from app.types import Boxes, FaceDetector, Image
from app.video import open_source
from tests.faces_media import photograph, ready, scaled
from tests.pipeline.test_session import NoFace, OneFace, parts

Pixels = NDArray[np.uint8]
WIDTH = 256


def portrait() -> Pixels:
    """A real face, (h, w, 3)."""
    return scaled(photograph("obama.jpg"), WIDTH).copy()


def luma() -> Pixels:
    return np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY), np.uint8)


def plain(value: int) -> Pixels:
    return np.full_like(portrait(), value)


TRANSPARENT: dict[str, Callable[[], tuple[Pixels, Pixels]]] = {
    "in colours under no opacity": lambda: (portrait(), np.zeros_like(luma())),
    "in opacity, dark before white": lambda: (plain(0), 255 - luma()),
    "in opacity, light before black": lambda: (plain(255), luma()),
    "in opacity, over gray": lambda: (plain(128), luma()),
    "in both": lambda: (portrait(), 255 - luma()),
    "inverted in opacity": lambda: (plain(128), 255 - luma()),
}
"""Places where a face can be: (h, w, 3) colours and (h, w) opacity."""


def write_image(path: Path, colours: Pixels, opacity: Pixels, *, deep: bool = False) -> Path:
    pixels = np.dstack([colours, opacity])
    if deep:
        wide = pixels[:, :, [2, 1, 0, 3]].astype(np.uint16) * 257
        path.write_bytes(cv2.imencode(".png", wide)[1].tobytes())
    else:
        Pillow.fromarray(pixels).save(path, lossless=True, exact=True)
    return path


def pictures_of(path: Path) -> list[Pixels]:
    """Return all that can be seen of an image, computed without the code under test."""
    with Pillow.open(path) as image:
        all_four = image.convert("RGBA")
        pixels = np.array(all_four)
    seen = [pixels[:, :, :3]]
    for light in (0, 60, 128, 200, 255):
        background = Pillow.new("RGBA", all_four.size, (light, light, light, 255))
        background.alpha_composite(all_four)
        seen.append(np.array(background.convert("RGB")))
    alone = np.repeat(pixels[:, :, 3:], 3, axis=2)
    return [*seen, alone, 255 - alone]


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return load_detector(ready("open", "detector"))


@pytest.fixture(scope="module")
def blur(detector: FaceDetector) -> FaceBlur:
    record, scale = (
        ModelRecord("detector.onnx", "0" * 64),
        Scale.flat(stranger=0.2, doubtful=0.5, sure=0.8),
    )
    both = Parts(detector, None, scale, ModelsRecord("test", record, None))
    return FaceBlur(Settings(effect="blur"), parts=both)


def count_faces(detector: FaceDetector, images: Sequence[Image]) -> list[int]:
    """The number of clear faces in each image."""
    found = detector.detect([np.ascontiguousarray(image) for image in images])
    return [int((faces.scores > 0.4).sum()) for faces in found]


@pytest.mark.parametrize("suffix", [".png", ".webp", "16.png"])
@pytest.mark.parametrize("place", TRANSPARENT)
def test_no_face_is_left_before_any_background(
    place: str, suffix: str, blur: FaceBlur, detector: FaceDetector, tmp_path: Path
) -> None:
    source = tmp_path / f"in{suffix}"
    write_image(source, *TRANSPARENT[place](), deep=suffix == "16.png")
    assert max(count_faces(detector, pictures_of(source))) == 1
    output = tmp_path / f"out{suffix}"
    plan = blur.blur(source, output)
    assert plan.counts["hidden"] == 1
    assert count_faces(detector, pictures_of(output)) == [0] * 8
    with Pillow.open(output) as image:
        opacity = np.array(image.convert("RGBA"))[:, :, 3]
    x1, y1, x2, y2 = plan.tracks[0].boxes[0, 1:].round().astype(int)
    assert (opacity[y1:y2, (x1 + x2) // 2] == 255).all()
    assert (opacity[(y1 + y2) // 2, x1:x2] == 255).all()


def test_opacity_beside_a_hidden_face_is_kept(tmp_path: Path) -> None:
    gradient = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    source = write_image(tmp_path / "in.png", np.full((100, 200, 3), 90, np.uint8), gradient)
    settings = Settings(effect="solid", shape="rectangle", feather=0.0)
    FaceBlur(settings, parts=parts(OneFace())).blur(source, tmp_path / "out.png")
    with Pillow.open(tmp_path / "out.png") as image:
        after = np.array(image)
    assert (after[40:60, 80:120] == (0, 0, 0, 255)).all()
    np.testing.assert_array_equal(after[:, :30, 3], gradient[:, :30])
    np.testing.assert_array_equal(after[:5, :, 3], gradient[:5])


def test_an_effect_of_the_user_does_not_have_to_know_opacity(tmp_path: Path) -> None:
    class Nothing:
        def hide(self, planes: object, boxes: Boxes) -> None:
            assert isinstance(planes, list)
            assert len(planes) == 1

    half = np.full((100, 200), 128, np.uint8)
    source = write_image(tmp_path / "in.png", np.full((100, 200, 3), 90, np.uint8), half)
    face_blur = FaceBlur(parts=parts(OneFace()))
    plan = face_blur.analyse(source)
    face_blur.render(source, plan, tmp_path / "out.png", effect=Nothing())
    with Pillow.open(tmp_path / "out.png") as image:
        assert tuple(np.array(image)[50, 100]) == (90, 90, 90, 255)


def test_an_opaque_image_is_looked_at_once(tmp_path: Path) -> None:
    source = write_image(tmp_path / "in.png", portrait(), np.full_like(luma(), 255))
    (frame,) = open_source(source)
    (only,) = views(frame)
    np.testing.assert_array_equal(only, portrait())


def test_views_are_what_a_viewer_shows(tmp_path: Path) -> None:
    source = write_image(tmp_path / "in.png", portrait(), 255 - luma())
    (frame,) = open_source(source)
    stored, on_white, on_black, alone, inverted = views(frame)
    seen = pictures_of(source)
    np.testing.assert_array_equal(stored, seen[0])
    np.testing.assert_allclose(on_white.astype(int), seen[5], atol=1)
    np.testing.assert_allclose(on_black.astype(int), seen[1], atol=1)
    np.testing.assert_array_equal(alone, seen[6])
    np.testing.assert_array_equal(inverted, seen[7])
    region = (10, 20, 90, 110)
    for view, part in zip(views(frame), views(frame, region=region), strict=True):
        np.testing.assert_array_equal(view[20:110, 10:90], part)
    assert {view.shape for view in views(frame, (40, 45), region)} == {(45, 40, 3)}


class AnyRecogniser:
    chip_size = 112
    template = np.array([[38, 52], [74, 52], [56, 72], [42, 92], [71, 92]], np.float32)
    dimension = 4

    def embed(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        return np.ones((len(chips), 4), np.float32)


@pytest.mark.parametrize("place", TRANSPARENT)
def test_nobody_is_recognised_where_the_background_shines_through(
    place: str, detector: FaceDetector, tmp_path: Path
) -> None:
    """Such a face is unclear, and unclear faces are hidden."""
    (faces,) = detector.detect([portrait()])
    best = faces.take(np.array([faces.scores.argmax()]))
    observation = Observation(0, best.boxes[0], float(best.scores[0]), best.landmarks[0])
    source = write_image(tmp_path / "in.png", *TRANSPARENT[place]())
    (frame,) = open_source(source)
    chip = cut_chip(frame, observation, AnyRecogniser())
    assert (chip.image, chip.quality, chip.flaw) == (None, 0.0, SEE_THROUGH)


def test_a_face_that_was_cut_out_can_be_recognised(detector: FaceDetector, tmp_path: Path) -> None:
    """The background is transparent, as in many portraits, and the face is opaque."""
    (faces,) = detector.detect([portrait()])
    box = faces.boxes[faces.scores.argmax()]
    opacity = np.zeros_like(luma())
    x1, y1, x2, y2 = box.tolist()
    cv2.ellipse(opacity, (((x1 + x2) / 2, (y1 + y2) / 2), (x2 - x1, y2 - y1), 0), 255, -1)
    (frame,) = open_source(write_image(tmp_path / "in.png", portrait(), opacity))
    assert not is_see_through(frame, box)
    assert is_see_through(frame, box + 40)


def test_a_transparent_image_without_faces_stays_as_it_is(tmp_path: Path) -> None:
    source = write_image(tmp_path / "in.png", portrait(), 255 - luma())
    FaceBlur(parts=parts(NoFace())).blur(source, tmp_path / "out.png")
    with Pillow.open(source) as before, Pillow.open(tmp_path / "out.png") as after:
        np.testing.assert_array_equal(np.array(before), np.array(after))


@pytest.mark.parametrize("name", ["alphaboth.png", "alphaonly.webp"])
def test_found_images(
    name: str, shared: Path, blur: FaceBlur, detector: FaceDetector, tmp_path: Path
) -> None:
    source, output = shared / "data" / "faults" / name, tmp_path / name
    assert max(count_faces(detector, pictures_of(source))) == 1
    blur.blur(source, output)
    assert count_faces(detector, pictures_of(output)) == [0] * 8
