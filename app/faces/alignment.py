"""Chips: faces turned upright and scaled, so that their landmarks lie on a template."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Image, Landmarks, Size

Transforms = NDArray[np.float64]
Visible = NDArray[np.float32]


def similarities(landmarks: Landmarks, template: Landmarks) -> Transforms:
    """The similarity transforms (turn, scale, shift) that fit landmarks to a template best.

    Least squares, without reflection. In the plane, with points as complex numbers, the solution
    of Umeyama ("Least-squares estimation of transformation parameters between two point
    patterns", PAMI 1991) is ``a = sum(conj(z) w) / sum(|z|^2)`` over centred points.

    Args:
        landmarks: (N, K, 2) pixels.
        template: (K, 2) pixels of the chip.

    Returns:
        (N, 2, 3) matrices from pixels of the picture to pixels of the chip. Landmarks that all
        lie in one point are only shifted.

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


_FACE = (0.15, 0.2, 0.85, 0.95)
"""The middle of a chip, where the face is, in parts of its sides."""
_POINTS = 12
"""Points along each side of that middle at which visibility is looked up."""


def visible(landmarks: Landmarks, template: Landmarks, size: int, picture: Size) -> Visible:
    """The part of each face that lies inside the picture, by its chip: (N,) in 0..1.

    Args:
        landmarks: (N, 5, 2) pixels of the picture.
        template: (5, 2) pixels of the chip.
        size: side of a chip in pixels.
        picture: width and height.

    >>> square = np.float32([[30, 40], [70, 40], [50, 60], [30, 80], [70, 80]])
    >>> visible(square[None] - [[[50, 0]]], square, 100, (200, 200)).tolist()
    [0.5]
    """
    x1, y1, x2, y2 = (side * size for side in _FACE)
    x, y = np.meshgrid(np.linspace(x1, x2, _POINTS), np.linspace(y1, y2, _POINTS))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    matrices = similarities(landmarks, template)
    back = np.linalg.inv(matrices[:, :, :2]).transpose(0, 2, 1)
    seen = (points[None] - matrices[:, None, :, 2]) @ back
    return np.asarray(((seen >= 0) & (seen < picture)).all(axis=2).mean(axis=1), np.float32)


def align(image: Image, landmarks: Landmarks, template: Landmarks, size: int) -> list[Image]:
    """The chip of each face of a picture.

    Faces larger than twice the chip are reduced by area first, so that nothing aliases. What lies
    outside the picture is black, as in dlib.

    Args:
        image: (h, w, 3) uint8.
        landmarks: (N, 5, 2) pixels of the picture.
        template: (5, 2) pixels of the chip.
        size: side of a chip in pixels.

    Returns:
        N chips (size, size, 3) uint8.

    Raises:
        ValueError: landmarks are of another shape, or not finite.
    """
    if landmarks.shape[1:] != template.shape or not np.isfinite(landmarks).all():
        raise ValueError(f"landmarks: expected finite (N, 5, 2), got {landmarks.shape}")
    return [_chip(image, matrix, size) for matrix in similarities(landmarks, template)]


def _chip(image: Image, matrix: Transforms, size: int) -> Image:
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    if scale < 0.5:
        image, matrix = _reduced(image, matrix, size, int(1 / max(scale, 1e-3)))
    chip = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(chip, np.uint8)


def _reduced(image: Image, matrix: Transforms, size: int, factor: int) -> tuple[Image, Transforms]:
    """The part of the picture that the chip shows, reduced, and the transform from there."""
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float64)
    seen = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    height, width = image.shape[:2]
    low = np.clip(np.floor(seen.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0)), low + 1, (width, height)).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    sides = np.maximum(1, (high - low) // factor)
    small = cv2.resize(part, (int(sides[0]), int(sides[1])), interpolation=cv2.INTER_AREA)
    ratio = (high - low) / sides
    # centres of pixels: part = (small + 0.5) * ratio - 0.5
    back = np.array([[ratio[0], 0, low[0] + ratio[0] / 2 - 0.5],
                     [0, ratio[1], low[1] + ratio[1] / 2 - 0.5], [0, 0, 1]])  # fmt: skip
    return np.asarray(small, np.uint8), matrix @ back
