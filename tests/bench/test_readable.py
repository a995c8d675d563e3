"""The readability of hidden and visible faces."""

from collections.abc import Callable

import av
import numpy as np
import pytest

from app.effects import EFFECTS, make_effect
from app.types import Image, Plane
from app.verification.detail import READABLE, readable
from testmedia.clip import Clip
from testmedia.truth import Seen


def first(clip: Clip) -> tuple[Image, Seen]:
    with av.open(str(clip.path)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return np.asarray(picture, np.uint8), clip.truth.at(0)[0]


@pytest.fixture(params=["calm", "small", "dark", "leans", "pressed", "overlap"])
def face(request: pytest.FixtureRequest, clip: Callable[[str], Clip]) -> tuple[Image, Seen]:
    return first(clip(request.param))


def hidden(picture: Image, box: tuple[float, ...], effect: str) -> Image:
    """Return the image with an effect on one box."""
    after = picture.copy()
    drawn = make_effect(effect, shape="rectangle", margin=0.2, feather=0.1, cells=4)
    drawn.hide((Plane(after, 0, 0, (0, 0, 0)),), np.asarray([box], np.float32))
    return after


def test_an_untouched_face_is_readable(face: tuple[Image, Seen]) -> None:
    picture, seen = face
    assert readable(picture, picture, seen.box) == pytest.approx(1)
    noisy = np.clip(picture + np.random.default_rng(1).normal(0, 2, picture.shape), 0, 255)
    assert readable(picture, noisy.astype(np.uint8), seen.box) > READABLE


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_hidden_face_is_not_readable(face: tuple[Image, Seen], effect: str) -> None:
    picture, seen = face
    assert readable(picture, hidden(picture, seen.box, effect), seen.box) < READABLE


def test_half_a_face_is_readable(face: tuple[Image, Seen]) -> None:
    picture, seen = face
    x1, y1, x2, y2 = (round(value) for value in seen.box)
    half = picture.copy()
    half[y1:y2, x1 : (x1 + x2) // 2] = 0
    assert readable(picture, half, seen.box) > READABLE


def test_other_regions_are_not_readable(face: tuple[Image, Seen]) -> None:
    picture, seen = face
    moved = np.roll(picture, round(seen.width / 2), axis=1)
    assert readable(picture, moved, seen.box) < READABLE
    assert readable(picture, picture, (-50, -50, -10, -10)) == 0
    assert readable(np.zeros_like(picture), picture, seen.box) == 0


def _faded(picture: Image, contrast: float) -> Image:
    return np.round(128 + contrast * (picture.astype(float) - 128)).astype(np.uint8)


def test_a_pale_face_is_readable_but_rounding_noise_is_not(
    clip: Callable[[str], Clip],
) -> None:
    picture, seen = first(clip("calm"))
    assert readable(picture, _faded(picture, 1 / 4), seen.box) > 3 * READABLE
    assert readable(picture, _faded(picture, 1 / 128), seen.box) < READABLE
