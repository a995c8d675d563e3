"""Faces that still show after a cut: in a dissolve the old picture fades while the new one comes.

A shot detector tells a dissolve as one cut somewhere in it, and tracks never cross a cut. So the
place where a face was at the end of a shot is watched for as long as it still looks alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.geometry import inside
from app.types import Boxes, Frame

PATCH = (24, 24)
ALIKE = 0.4
"""Correlation with the last patch of the old shot from which the face still shows. Half faded it is
about 0.7; after a hard cut it is about 0."""
STEADY = 0.8
"""Correlation from frame to frame: what fades changes little at each step, what is cut does not."""


@dataclass(slots=True)
class Lingering:
    """A face of the previous shot (``track``) that was alike up to frame ``last``.

    ``patch`` is how it looked in the old shot, ``newest`` how its place looked last.
    """

    track: int
    box: Boxes
    patch: NDArray[np.float32]
    newest: NDArray[np.float32]
    last: int
    ended: bool = False


class Lingerer:
    """Watches the places (N, 4) of ``tracks`` in the last frame of a shot, for ``patience`` frames.

    Push every frame of the new shot in order; ``found`` is then what still showed.
    """

    def __init__(self, frame: Frame, tracks: Sequence[int], boxes: Boxes, patience: int) -> None:
        self.first = frame.index + 1
        self._until = frame.index + patience
        self._watched = [
            Lingering(track, box, patch, patch, frame.index)
            for track, box in zip(tracks, boxes, strict=True)
            if (patch := _patch(frame, box)) is not None
        ]

    def push(self, frame: Frame) -> None:
        """Compare the next frame."""
        for face in self._watched:
            if face.ended or frame.index > self._until:
                continue
            patch = _patch(frame, face.box)
            if patch is not None and _shows(patch, face):
                face.newest, face.last = patch, frame.index
            else:
                face.ended = True

    @property
    def found(self) -> list[Lingering]:
        """The faces that showed in at least one frame of the new shot."""
        return [face for face in self._watched if face.last >= self.first]


def _shows(patch: NDArray[np.float32], face: Lingering) -> bool:
    steady = float((patch * face.newest).mean()) >= STEADY
    return steady and float((patch * face.patch).mean()) >= ALIKE


def _patch(frame: Frame, box: Boxes) -> NDArray[np.float32] | None:
    """The place of a (4,) box, small, grey, of mean 0 and deviation 1; None outside the picture."""
    region = inside(box, frame.size)
    if region is None:
        return None
    grey = cv2.cvtColor(frame.rgb(PATCH, region), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray((grey - grey.mean()) / max(float(grey.std()), 1.0), np.float32)
