"""Chips: aligned crops in which a face is upright and its landmarks lie on a template.

Measures of a chip's quality decide which chips to use, and how much each one counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Faces, Image, Landmarks, Size

Transforms: TypeAlias = NDArray[np.float64]

_FACE_AREA: Final = (0.15, 0.2, 0.85, 0.95)
"""The face in a chip: left, top, right and bottom as fractions of the chip's sides."""
_SAMPLES: Final = 12
"""Sample points along each side of that area, for the visible part."""
_MIN_SCALE: Final = 0.5
"""Images are reduced by area before alignment if the scale is smaller, to avoid aliasing."""
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


def similarities(landmarks: Landmarks, template: Landmarks) -> Transforms:
    """Return the similarity transforms (rotation, scale, shift) from landmarks to a template.

    They are the least-squares fits without reflection. In the plane, with points as complex
    numbers, the solution of Umeyama ("Least-squares estimation of transformation parameters between
    two point patterns", PAMI 1991) is ``a = sum(conj(z) w) / sum(|z|^2)`` over centred points.

    Args:
        landmarks: (N, K, 2) pixels.
        template: (K, 2) pixels of the chip.

    Returns:
        (N, 2, 3) matrices from pixels of the image to pixels of the chip. If all landmarks are at
        the same point, the matrix only shifts.

    >>> square = np.float32([[0, 0], [2, 0], [2, 2], [0, 2]])
    >>> similarities(square[None] * 2 + 1, square)[0, :, 2].round(3).tolist()
    [-0.5, -0.5]
    """
    z = landmarks[..., 0].astype(np.float64) + 1j * landmarks[..., 1].astype(np.float64)
    w = template[:, 0].astype(np.float64) + 1j * template[:, 1].astype(np.float64)
    z_mean, w_mean = z.mean(axis=1, keepdims=True), w.mean()
    z, w = z - z_mean, w - w_mean
    spread = (np.abs(z) ** 2).sum(axis=1)
    turn = np.divide(
        (z.conj() * w).sum(axis=1), spread, out=np.ones_like(z[:, 0]), where=spread > 0
    )
    shift = w_mean - turn * z_mean[:, 0]
    rows = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.asarray(rows).transpose(2, 0, 1)


def visible_part(
    landmarks: Landmarks, template: Landmarks, chip_size: int, image_size: Size
) -> NDArray[np.float32]:
    """Return the part (0..1) of each face that is inside the image, (N,).

    Args:
        landmarks: (N, 5, 2) pixels of the image.
        template: (5, 2) pixels of the chip.
        chip_size: side of a chip in pixels.
        image_size: width and height of the image.

    >>> square = np.float32([[30, 40], [70, 40], [50, 60], [30, 80], [70, 80]])
    >>> visible_part(square[None] - [[[50, 0]]], square, 100, (200, 200)).tolist()
    [0.5]
    """
    x1, y1, x2, y2 = (side * chip_size for side in _FACE_AREA)
    x, y = np.meshgrid(np.linspace(x1, x2, _SAMPLES), np.linspace(y1, y2, _SAMPLES))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    matrices = similarities(landmarks, template)
    back = np.linalg.inv(matrices[:, :, :2]).transpose(0, 2, 1)
    positions = (points[None] - matrices[:, None, :, 2]) @ back
    inside = ((positions >= 0) & (positions < image_size)).all(axis=2)
    return np.asarray(inside.mean(axis=1), np.float32)


def align(image: Image, landmarks: Landmarks, template: Landmarks, size: int) -> list[Image]:
    """Return the aligned chip of each face in an image.

    Faces larger than twice the chip are reduced by area first, to avoid aliasing. Areas outside the
    image are black, as in dlib.

    Args:
        image: (h, w, 3) uint8.
        landmarks: (N, 5, 2) pixels of the image.
        template: (5, 2) pixels of the chip.
        size: side of a chip in pixels.

    Returns:
        N chips (size, size, 3) uint8.

    Raises:
        ValueError: landmarks have another shape, or are not finite.
    """
    if landmarks.shape[1:] != template.shape or not np.isfinite(landmarks).all():
        raise ValueError(f"landmarks: expected finite (N, 5, 2), got {landmarks.shape}")
    return [_chip(image, matrix, size) for matrix in similarities(landmarks, template)]


def _chip(image: Image, matrix: Transforms, size: int) -> Image:
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    if scale < _MIN_SCALE:
        image, matrix = _reduced(image, matrix, size, int(1 / max(scale, 1e-3)))
    chip = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(chip, np.uint8)


def _reduced(image: Image, matrix: Transforms, size: int, factor: int) -> tuple[Image, Transforms]:
    """Return the part of the image that the chip shows, reduced, and its transform to the chip."""
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float64)
    shown = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    height, width = image.shape[:2]
    low = np.clip(np.floor(shown.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(shown.max(axis=0)), low + 1, (width, height)).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    sides = np.maximum(1, (high - low) // factor)
    small = cv2.resize(part, (int(sides[0]), int(sides[1])), interpolation=cv2.INTER_AREA)
    ratio = (high - low) / sides
    # With pixel centres at 0.5: part = (small + 0.5) * ratio - 0.5
    back = np.eye(3)
    back[0, 0], back[1, 1] = ratio
    back[:2, 2] = low + ratio / 2 - 0.5
    return np.asarray(small, np.uint8), matrix @ back


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
