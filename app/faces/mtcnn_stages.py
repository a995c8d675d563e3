"""The three networks of MTCNN, and what is done between them: see ``app.faces.mtcnn``."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.errors import ModelError
from app.geometry import areas, intersections
from app.networks.sessions import Device, open_session
from app.types import Boxes, Scores, Size

WINDOW, STRIDE = 12, 2
"""Side of what a cell of the first network's map sees, and pixels from cell to cell."""
MARGIN = WINDOW // 2
"""Pixels by which each level is continued on every side. This, levels smaller than the window, and
grey instead of black beyond the edge are not as published. With them 80 of 80 portraits were found
that an edge cuts by 20 to 40 %, and 48 of 48 of which the face fills or exceeds the picture;
without them 73 and 21."""
SMALLEST_FACE = 20
"""Side in pixels of the squares that the first level of the pyramid looks for; as published."""
FACTOR = 0.709
"""Sides of each level of the pyramid over those of the one before: half the area; as published."""
SMALLEST = 64
"""Pictures whose longer side is less are enlarged to this: faces in them are small, too."""
BATCH_PIXELS = 1 << 17
"""Pixels of a level in one run of the first network: memory stays bounded."""

_Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Signature:
    """The names that a network's file has for its input, the softmax, and what it regresses."""

    source: str
    softmax: str
    regressions: tuple[str, ...]


SIGNATURES = (
    Signature("input_1", "softmax", ("conv2d_4",)),
    Signature("input_2", "softmax_1", ("dense_2",)),
    Signature("input_3", "softmax_2", ("dense_5", "dense_6")),
)
"""Of the proposal, the refinement and the output network, as published."""


class Stage:
    """One of the three networks.

    They were trained with rows and columns exchanged: pictures go in and maps come out transposed,
    while the numbers that are regressed are x and y of the upright picture.

    Raises:
        ModelError: ONNX Runtime cannot load it, or it is another network.
        DeviceError: the GPU that was asked for cannot be used.
    """

    def __init__(
        self, model: Path | bytes, signature: Signature, threads: int | None, device: Device
    ) -> None:
        self._session = open_session(model, threads, device)
        self._signature = signature
        expected = {signature.source, signature.softmax, *signature.regressions}
        found = {item.name for item in (*self._session.get_inputs(), *self._session.get_outputs())}
        if found != expected:
            wanted, got = (", ".join(sorted(names)) for names in (expected, found))
            raise ModelError(f"MTCNN: expected a network with {wanted}, got one with {got}")

    def run(self, images: NDArray[np.uint8]) -> tuple[_Values, ...]:
        """Probability of a face (N, ...), then what is regressed, (N, ..., 4) and (N, ..., 10).

        Args:
            images: (N, h, w, 3) RGB. Where the network gives maps, their axes are y, x, too.

        Raises:
            ModelError: the runtime fails.
        """
        ready = (images.transpose(0, 2, 1, 3).astype(np.float32) - 127.5) / 128
        names = self._signature
        try:
            raw = self._session.run([names.softmax, *names.regressions], {names.source: ready})
        except Exception as error:
            raise ModelError(f"MTCNN failed on {images.shape}: {error}") from error
        softmax, *others = (one.swapaxes(1, 2) if one.ndim == 4 else one for one in raw)
        return softmax[..., 1], *others


def levels(size: Size) -> list[Size]:
    """Sizes of the pyramid of a picture of ``size``, largest first.

    The smallest has half a window in its shorter side: there a face is twice as large as it.

    >>> levels((100, 60))
    [(60, 36), (43, 26), (30, 18), (21, 13), (15, 9), (11, 6)]
    >>> levels((300, 7))
    []
    """
    scale = WINDOW / SMALLEST_FACE * max(1.0, SMALLEST / max(size))
    out = []
    while min(size) * scale >= WINDOW / 2:
        out.append((round(size[0] * scale), round(size[1] * scale)))
        scale *= FACTOR
    return out


def runs(sizes: Sequence[Size]) -> Iterator[tuple[list[int], Size]]:
    """What to run together: numbers of pictures of one size, and the size of a level of them."""
    groups: dict[Size, list[int]] = defaultdict(list)
    for number, size in enumerate(sizes):
        groups[size].append(number)
    for size, group in groups.items():
        for level in levels(size):
            count = max(1, BATCH_PIXELS // (level[0] * level[1]))
            for at in range(0, len(group), count):
                yield group[at : at + count], level


def proposals(probability: _Values, regression: _Values, least: float) -> tuple[Boxes, Scores]:
    """Boxes (N, 4) in pixels of a level, and their scores, from the maps of the first network.

    Args:
        probability: (h, w) of a face in the window of each cell; the first one lies ``MARGIN``
            above and left of the corner of the picture.
        regression: (h, w, 4).
        least: cells of lower probability are left out.

    >>> probability, regression = np.zeros((2, 5), np.float32), np.zeros((2, 5, 4), np.float32)
    >>> probability[1, 3] = 0.75
    >>> proposals(probability, regression, 0.6)[0].tolist()
    [[0.0, -4.0, 12.0, 8.0]]
    """
    rows, columns = np.nonzero(probability >= least)
    corner = np.stack([columns, rows], axis=1).astype(np.float32) * STRIDE - MARGIN
    windows = np.concatenate([corner, corner + WINDOW], axis=1)
    return calibrated(windows, regression[rows, columns]), probability[rows, columns]


def calibrated(boxes: Boxes, regression: _Values) -> Boxes:
    """Boxes with their corners moved by ``regression`` (N, 4), in units of the box's sides.

    >>> calibrated(np.float32([[0, 0, 10, 20]]), np.float32([[0.5, 0, -0.25, 0.5]])).tolist()
    [[5.0, 0.0, 7.5, 30.0]]
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(boxes + np.tile(sides, 2) * regression, np.float32)


def squares(boxes: Boxes) -> Boxes:
    """Squares around the centres of boxes, as large as the longer sides of these.

    >>> squares(np.float32([[0, 0, 10, 20]])).tolist()
    [[-5.0, 0.0, 15.0, 20.0]]
    """
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.asarray(np.concatenate([middle - half, middle + half], axis=1), np.float32)


def distinct_many(boxes: Boxes, scores: Scores, overlap: float) -> NDArray[np.intp]:
    """What ``app.faces.centerface.distinct`` returns, in a twentieth of its time for 600 boxes.

    >>> boxes = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
    >>> distinct_many(boxes, np.float32([0.5, 0.9, 0.4]), 0.3).tolist()
    [1, 2]
    """
    corner_and_sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(corner_and_sides.tolist(), scores.tolist(), 0.0, overlap)
    return np.asarray(kept, np.intp).reshape(-1)


def not_inside(boxes: Boxes, scores: Scores, part: float) -> NDArray[np.intp]:
    """Indices of the boxes to keep, best first, so that no face is found again inside its box.

    A box goes when it and a kept one of higher score share more than ``part`` of the smaller one.

    >>> boxes = np.float32([[0, 0, 20, 20], [2, 2, 8, 8], [18, 0, 38, 20]])
    >>> not_inside(boxes, np.float32([0.9, 0.8, 0.7]), 0.7).tolist()
    [0, 2]
    """
    sizes = areas(boxes)
    left = np.argsort(-scores, kind="stable")
    kept = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(best)
        shared = intersections(boxes[[best]], boxes[left])[0]
        left = left[shared <= part * np.minimum(sizes[best], sizes[left])]
    return np.asarray(kept, np.intp)
