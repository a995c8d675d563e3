"""Chip quality: measures that decide which chips to use, and how much each one counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Faces, Image, Landmarks

_Measure: TypeAlias = NDArray[np.float32]

_SHARPNESS_SIDES: Final = (20.0, 48.0)
"""The smallest and the largest side in pixels at which sharpness is measured."""
_DARK: Final = 0.12
"""Chips with a mean luma (0..1) below this are brightened."""
_BRIGHTENED: Final = 0.3
"""Mean luma (0..1) of brightened chips."""
_NOISE: Final = 0.004
"""Standard deviation (0..1) of the noise in any image: it must not make a flat chip sharp."""
_MIN_DEVIATION: Final = 1e-3
"""Chips with a smaller standard deviation (0..1) are flat."""


@dataclass(frozen=True, slots=True)
class ChipQuality:
    """Measures of N chips, as parallel (N,) float32 arrays.

    ``size`` is the geometric mean of the box's sides and ``eyes`` the distance of the eyes, both in
    pixels of the image. ``sharpness`` and ``frontality`` are described at the functions of these
    names. ``brightness`` is the mean and ``contrast`` the standard deviation of the luma (0..1) in
    the middle of the face.
    """

    size: _Measure
    eyes: _Measure
    sharpness: _Measure
    frontality: _Measure
    brightness: _Measure
    contrast: _Measure


def chip_quality(faces: Faces, chips: Sequence[Image]) -> ChipQuality:
    """Measure the chips of ``faces``.

    Raises:
        ValueError: the number of chips is not that of the faces.
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
    """Return how frontal faces are, from 0 (profile) to 1: (N, 5, 2) landmarks in, (N,) out.

    The result is the product of two signs of a turned head. The first falls from 1 to 0 as the nose
    moves from the middle between the eyes to below one of them. The second is the distance between
    the eyes relative to their distance from the mouth, at most 1; both are about equal in a face
    from the front.

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
    nose_shift = (
        np.abs(((points[:, 2] - middle) * eyes).sum(axis=1)) / np.maximum(distance, 1e-6) ** 2
    )
    eye_spread = distance / np.maximum(height, 1e-6)
    return np.asarray(np.clip(1 - 2 * nose_shift, 0, 1) * np.clip(eye_spread, 0, 1), np.float32)


def sharpness(luma: NDArray[np.float32], size: float) -> float:
    """Return the fine detail of a luma image.

    It is the standard deviation of the image's Laplacian over that of the image: 0 for a flat one,
    0.2 for one out of focus, 0.5 and more for a sharp one. It is measured at the resolution of the
    face in its frame, ``size`` pixels within ``_SHARPNESS_SIDES``, so that a small face does not
    count as soft because its chip was enlarged.
    """
    side = round(float(np.clip(size, *_SHARPNESS_SIDES)))
    small = cv2.resize(luma, (side, side), interpolation=cv2.INTER_AREA)
    deviation = float(small.std())
    if deviation < _MIN_DEVIATION:
        return 0.0
    return float(cv2.Laplacian(small, cv2.CV_32F).std()) / (deviation + _NOISE)


def brighten_dark(chip: Image) -> Image:
    """Brighten a chip if it is too dark to be recognised; return others unchanged.

    For recognisers all dark faces look alike. When dark chips are brightened, strangers become less
    similar to each other, and a person stays as similar to their photo. Brighter chips are best
    left unchanged.
    """
    brightness = float(_luma(chip).mean())
    if brightness >= _DARK:
        return chip
    gain = _BRIGHTENED / max(brightness, 1 / 255)
    return np.asarray(np.clip(chip.astype(np.float32) * gain, 0, 255), np.uint8)


def _luma(chip: Image) -> NDArray[np.float32]:
    """Return the luma (0..1) in the middle of a chip, where the face is."""
    height, width = chip.shape[:2]
    middle = chip[height // 6 : height - height // 6, width // 5 : width - width // 5]
    grey = cv2.cvtColor(np.ascontiguousarray(middle), cv2.COLOR_RGB2GRAY)
    return np.asarray(grey / 255, np.float32)
