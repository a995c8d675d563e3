"""The three networks of MTCNN, and the box operations between them; see ``app.faces.mtcnn``."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.errors import ModelError
from app.faces.resizing import MIN_LONGER_SIDE
from app.geometry import areas, intersections
from app.networks import Runtime, open_session
from app.types import Boxes, Scores, Size

_WINDOW: Final = 12
"""Side of the receptive field of a cell in the first network's map, in pixels."""
_STRIDE: Final = 2
"""Pixels from cell to cell."""
MARGIN: Final = _WINDOW // 2
"""Pixels by which each level is extended on every side. The margin, levels smaller than the window,
and grey instead of black beyond the edge are not part of the published method. With them, the
detector found 80 of 80 faces with 20 to 40 % cut off by an edge, and 48 of 48 faces that fill or
exceed the image; without them, 73 and 21."""
_MIN_FACE: Final = 20
"""Side in pixels of the squares that the first level of the pyramid detects; as published."""
_LEVEL_FACTOR: Final = 0.709
"""Ratio of the sides of two successive levels, which halves the area; as published."""
_BATCH_PIXELS: Final = 1 << 17
"""Pixels of a level in one run of the first network, which bounds the memory."""

_Values: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Signature:
    """The names of a network's input, of its softmax output, and of its regression outputs."""

    input: str
    softmax: str
    regressions: tuple[str, ...]


SIGNATURES: Final = (
    Signature("input_1", "softmax", ("conv2d_4",)),
    Signature("input_2", "softmax_1", ("dense_2",)),
    Signature("input_3", "softmax_2", ("dense_5", "dense_6")),
)
"""The proposal, refinement and output networks, as published."""


class Stage:
    """One of the three networks.

    They were trained with rows and columns exchanged: input images and output maps are transposed,
    but the regressed values are x and y of the upright image.

    Raises:
        ModelError: ONNX Runtime cannot load the model, or it is another network.
        DeviceError: a GPU was requested, but cannot be used.
    """

    def __init__(self, model: Path | bytes, signature: Signature, runtime: Runtime) -> None:
        self._session = open_session(model, runtime)
        self._signature = signature
        expected = {signature.input, signature.softmax, *signature.regressions}
        names = {item.name for item in (*self._session.get_inputs(), *self._session.get_outputs())}
        if names != expected:
            wanted, got = ", ".join(sorted(expected)), ", ".join(sorted(names))
            raise ModelError(f"MTCNN: expected a network with {wanted}, got one with {got}")

    def run(self, images: NDArray[np.uint8]) -> tuple[_Values, ...]:
        """Return the probability of a face (N, ...) and the regressions (N, ..., 4 or 10).

        Args:
            images: (N, h, w, 3) RGB. If the outputs are maps, their axes are y, x, too.

        Raises:
            ModelError: the runtime fails.
        """
        ready = (images.transpose(0, 2, 1, 3).astype(np.float32) - 127.5) / 128
        names = self._signature
        try:
            raw = self._session.run([names.softmax, *names.regressions], {names.input: ready})
        except Exception as error:
            raise ModelError(f"MTCNN failed on {images.shape}: {error}") from error
        softmax, *others = (one.swapaxes(1, 2) if one.ndim == 4 else one for one in raw)
        return softmax[..., 1], *others


def levels(size: Size) -> list[Size]:
    """Return the sizes of the pyramid's levels for an image of ``size``, largest first.

    The shorter side of the smallest level is at least half a window: a face is found even if it is
    twice as large as the image.

    >>> levels((100, 60))
    [(60, 36), (43, 26), (30, 18), (21, 13), (15, 9), (11, 6)]
    >>> levels((300, 7))
    []
    """
    scale = _WINDOW / _MIN_FACE * max(1.0, MIN_LONGER_SIDE / max(size))
    out = []
    while min(size) * scale >= _WINDOW / 2:
        out.append((round(size[0] * scale), round(size[1] * scale)))
        scale *= _LEVEL_FACTOR
    return out


def batches(sizes: Sequence[Size]) -> Iterator[tuple[list[int], Size]]:
    """Yield the numbers of images to run together, and the size of a level of their pyramids."""
    groups: dict[Size, list[int]] = defaultdict(list)
    for number, size in enumerate(sizes):
        groups[size].append(number)
    for size, group in groups.items():
        for level in levels(size):
            count = max(1, _BATCH_PIXELS // (level[0] * level[1]))
            for at in range(0, len(group), count):
                yield group[at : at + count], level


def proposals(
    probability: _Values, regression: _Values, min_probability: float
) -> tuple[Boxes, Scores]:
    """Decode the maps of the first network: boxes (N, 4) in pixels of a level, and their scores.

    Args:
        probability: (h, w) probabilities of a face in the window of each cell. The first window is
            ``MARGIN`` pixels above and left of the image's corner.
        regression: (h, w, 4) offsets of the corners.
        min_probability: the lowest probability of the boxes to return.

    >>> probability, regression = np.zeros((2, 5), np.float32), np.zeros((2, 5, 4), np.float32)
    >>> probability[1, 3] = 0.75
    >>> proposals(probability, regression, 0.6)[0].tolist()
    [[0.0, -4.0, 12.0, 8.0]]
    """
    rows, columns = np.nonzero(probability >= min_probability)
    corner = np.stack([columns, rows], axis=1).astype(np.float32) * _STRIDE - MARGIN
    windows = np.concatenate([corner, corner + _WINDOW], axis=1)
    return calibrated(windows, regression[rows, columns]), probability[rows, columns]


def calibrated(boxes: Boxes, regression: _Values) -> Boxes:
    """Move the corners of boxes by ``regression`` (N, 4), in units of the box's sides.

    >>> calibrated(np.float32([[0, 0, 10, 20]]), np.float32([[0.5, 0, -0.25, 0.5]])).tolist()
    [[5.0, 0.0, 7.5, 30.0]]
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(boxes + np.tile(sides, 2) * regression, np.float32)


def squares(boxes: Boxes) -> Boxes:
    """Return squares around the centres of boxes, as large as the longer sides of the boxes.

    >>> squares(np.float32([[0, 0, 10, 20]])).tolist()
    [[-5.0, 0.0, 15.0, 20.0]]
    """
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.asarray(np.concatenate([middle - half, middle + half], axis=1), np.float32)


def suppress_overlaps_fast(boxes: Boxes, scores: Scores, max_iou: float) -> NDArray[np.intp]:
    """Return the same as ``geometry.suppress_overlaps``, 20 times as fast for 600 boxes.

    >>> boxes = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
    >>> suppress_overlaps_fast(boxes, np.float32([0.5, 0.9, 0.4]), 0.3).tolist()
    [1, 2]
    """
    corner_and_sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(corner_and_sides.tolist(), scores.tolist(), 0.0, max_iou)
    return np.asarray(kept, np.intp).reshape(-1)


def suppress_contained(boxes: Boxes, scores: Scores, max_part: float) -> NDArray[np.intp]:
    """Drop boxes inside other boxes: return the indices of the boxes to keep, best first.

    A box is dropped if it and a kept box of higher score share more than ``max_part`` of the
    smaller box.

    >>> boxes = np.float32([[0, 0, 20, 20], [2, 2, 8, 8], [18, 0, 38, 20]])
    >>> suppress_contained(boxes, np.float32([0.9, 0.8, 0.7]), 0.7).tolist()
    [0, 2]
    """
    sizes = areas(boxes)
    left = np.argsort(-scores, kind="stable")
    kept = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(best)
        shared = intersections(boxes[[best]], boxes[left])[0]
        left = left[shared <= max_part * np.minimum(sizes[best], sizes[left])]
    return np.asarray(kept, np.intp)
