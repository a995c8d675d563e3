"""Alignment: cut out chips, in which a face is upright and its landmarks lie on a template."""

import math
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Image, Landmarks, Size

Transforms: TypeAlias = NDArray[np.float64]

_FACE_AREA: Final = (0.15, 0.2, 0.85, 0.95)
"""The face in a chip: left, top, right and bottom as fractions of the chip's sides."""
_SAMPLES: Final = 12
"""Sample points along each side of that area, for the visible part."""
_MIN_SCALE: Final = 0.5
"""Images are reduced by area before alignment if the scale is smaller, to avoid aliasing."""


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
