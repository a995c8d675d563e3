"""How much a chip can be trusted: measures by which chips are chosen and weighed."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Faces, Image, Landmarks

_Measure = NDArray[np.float32]

FINEST = (20.0, 48.0)
"""Least and largest side in pixels at which sharpness is measured."""
DARK, LIT = 0.12, 0.3
"""Mean luma 0..1 below which a chip is brightened, and to what."""
NOISE = 0.004
"""Deviation 0..1 that any picture has: a flat one is not sharp because of it."""


@dataclass(frozen=True, slots=True)
class ChipQuality:
    """Measures of N chips, as parallel (N,) float32 arrays.

    ``size`` is the geometric mean of the box's sides, ``eyes`` the distance of the eyes, both in
    pixels of the picture. ``sharpness``: see ``sharpness``. ``frontality``: see ``frontality``.
    ``brightness`` is the mean and ``contrast`` the standard deviation of the luma of the face's
    middle, 0..1.
    """

    size: _Measure
    eyes: _Measure
    sharpness: _Measure
    frontality: _Measure
    brightness: _Measure
    contrast: _Measure


def chip_quality(faces: Faces, chips: Sequence[Image]) -> ChipQuality:
    """Measures of the chips of ``faces``.

    Raises:
        ValueError: there are not as many chips as faces.
    """
    if len(chips) != len(faces):
        raise ValueError(f"chips: expected {len(faces)}, got {len(chips)}")
    sides = np.maximum(faces.boxes[:, 2:] - faces.boxes[:, :2], 0)
    eyes = np.linalg.norm(faces.landmarks[:, 1] - faces.landmarks[:, 0], axis=1)
    sizes = np.sqrt(sides[:, 0] * sides[:, 1]).astype(np.float32)
    lumas = [_luma(chip) for chip in chips]
    return ChipQuality(
        size=sizes,
        eyes=eyes.astype(np.float32),
        sharpness=np.array(
            [sharpness(luma, size) for luma, size in zip(lumas, sizes, strict=True)], np.float32
        ),
        frontality=frontality(faces.landmarks),
        brightness=np.array([luma.mean() for luma in lumas], np.float32),
        contrast=np.array([luma.std() for luma in lumas], np.float32),
    )


def frontality(landmarks: Landmarks) -> _Measure:
    """How far faces look into the camera: (N, 5, 2) landmarks in, (N,) in 0 (profile)..1 out.

    Two signs of a turned head are multiplied. The nose leaves the middle between the eyes: nothing
    is left when it stands below one of them. The eyes come together: all is left when they are
    as far from each other as from the mouth, as in a face from the front.

    >>> front = np.float32([[[0, 0], [4, 0], [2, 2], [0.5, 4], [3.5, 4]]])
    >>> frontality(front).tolist()
    [1.0]
    >>> profile = np.float32([[[0, 0], [1, 0], [-1, 2], [0, 4], [1, 4]]])
    >>> frontality(profile).tolist()
    [0.0]
    """
    points = landmarks.astype(np.float64)
    eyes = points[:, 1] - points[:, 0]
    distance = np.linalg.norm(eyes, axis=1)
    middle = (points[:, 0] + points[:, 1]) / 2
    height = np.linalg.norm((points[:, 3] + points[:, 4]) / 2 - middle, axis=1)
    aside = np.abs(((points[:, 2] - middle) * eyes).sum(axis=1)) / np.maximum(distance, 1e-6) ** 2
    opened = distance / np.maximum(height, 1e-6)
    return np.asarray(np.clip(1 - 2 * aside, 0, 1) * np.clip(opened, 0, 1), np.float32)


def sharpness(luma: NDArray[np.float32], size: float) -> float:
    """Fine detail of a luma picture: the deviation of its Laplacian over that of the picture.

    Taken at the resolution that the face of ``size`` pixels has in its picture (at most
    ``FINEST``), so that a small face is not soft because it had to be enlarged. 0 for a flat
    picture; 0.2 for one out of focus, 0.5 and more for a sharp one.
    """
    side = round(float(np.clip(size, *FINEST)))
    small = cv2.resize(luma, (side, side), interpolation=cv2.INTER_AREA)
    deviation = float(small.std())
    if deviation < 1e-3:
        return 0.0
    return float(cv2.Laplacian(small, cv2.CV_32F).std()) / (deviation + NOISE)


def lit(chip: Image) -> Image:
    """A chip bright enough to be recognised: one darker than ``DARK`` is brightened to ``LIT``.

    Recognisers hold all dark faces for one person; brightened, strangers come out less alike, and
    named people as much as before. Chips in more light are better left alone.
    """
    brightness = float(_luma(chip).mean())
    if brightness >= DARK:
        return chip
    gain = LIT / max(brightness, 1 / 255)
    return np.asarray(np.clip(chip.astype(np.float32) * gain, 0, 255), np.uint8)


def _luma(chip: Image) -> NDArray[np.float32]:
    """Luma 0..1 of the middle of a chip, where the face is."""
    height, width = chip.shape[:2]
    middle = chip[height // 6 : height - height // 6, width // 5 : width - width // 5]
    grey = cv2.cvtColor(np.ascontiguousarray(middle), cv2.COLOR_RGB2GRAY)
    return np.asarray(grey / 255, np.float32)
