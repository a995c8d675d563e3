"""Glimpses: short changes before a background that stays are found, and motion is not."""

import cv2
import numpy as np
import pytest

from app.tracking.glimpses import COPY_SIDE, Copy, find_glimpses, small_copy
from tests.painted_faces import RED, Painted, paint

HEIGHT, WIDTH = 135, 240


def texture(seed: int, height: int, width: int, strength: float = 60) -> Copy:
    """A smooth random texture."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.asarray(np.clip(128 + smooth / smooth.std() * strength / 2, 0, 255), np.uint8)


BACKGROUND = texture(1, HEIGHT, WIDTH, strength=20)
FACE = texture(2, 16, 14)


def scene(shown: range, frames: int = 10, x: int = 100) -> list[Copy]:
    """A background with a face in some frames."""
    copies = [BACKGROUND.copy() for _ in range(frames)]
    for number in shown:
        copies[number][50:66, x : x + 14] = FACE
    return copies


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("first", [1, 4, 6])
def test_a_glimpse_is_found_in_its_first_frame(first: int, length: int) -> None:
    found = find_glimpses(scene(range(first, first + length)))
    assert list(found) == [first]
    ((x1, y1, x2, y2),) = found[first]
    assert 96 <= x1 <= 102
    assert 46 <= y1 <= 52
    assert 112 <= x2 <= 118
    assert 64 <= y2 <= 70


def test_every_glimpse_is_found() -> None:
    copies = scene(range(2, 3))
    copies[7] = scene(range(1), 1, x=30)[0]
    assert list(find_glimpses(copies)) == [2, 7]


def test_a_longer_appearance_is_no_glimpse() -> None:
    assert not find_glimpses(scene(range(2, 6)))
    assert not find_glimpses(scene(range(4, 10)))


def test_noise_is_no_glimpse() -> None:
    random = np.random.default_rng(3)
    noisy = [
        np.clip(BACKGROUND + random.normal(0, 4, BACKGROUND.shape), 0, 255).astype(np.uint8)
        for _ in range(10)
    ]
    assert not find_glimpses(noisy)


@pytest.mark.parametrize("speed", [1, 2, 3])
def test_something_that_moves_makes_few_glimpses(speed: int) -> None:
    """Only where its edge is not found again, because the background there is another one."""
    copies = [scene(range(1), 1, x=40 + speed * number)[0] for number in range(20)]
    assert len(find_glimpses(copies)) <= 3


@pytest.mark.parametrize("speed", [1, 4])
def test_a_camera_that_moves_makes_no_glimpses(speed: int) -> None:
    wide = texture(4, HEIGHT, WIDTH + 60)
    assert not find_glimpses([wide[:, speed * n : speed * n + WIDTH] for n in range(10)])


def test_a_flash_of_light_is_no_glimpse() -> None:
    copies = scene(range(0))
    copies[5] = np.clip(copies[5] * 1.4, 0, 255).astype(np.uint8)
    assert not find_glimpses(copies)


@pytest.mark.parametrize("size", [(1920, 1080), (640, 360), (177, 143), (50, 2000)])
def test_copies_are_small_and_keep_their_shape(size: tuple[int, int]) -> None:
    copy = small_copy(Painted(0, paint({(0, 0, size[0] // 2, size[1]): RED}, size)))
    assert max(copy.shape) <= COPY_SIDE * 1.5
    left, right = copy[:, : copy.shape[1] // 3].mean(), copy[:, -copy.shape[1] // 3 :].mean()
    assert abs(right - 40) <= 1
    assert left > 50
