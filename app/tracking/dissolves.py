"""Faces that still show after a cut: in a dissolve the old picture fades while the new one comes.

A shot detector tells a dissolve as one cut somewhere in it, and tracks never cross a cut. So the
place where a face was at the end of a shot is watched for as long as it still looks alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.tracking.patch_similarity import Patch, correlation, patch
from app.types import Boxes, Frame

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
    patch: Patch
    newest: Patch
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
            Lingering(track, box, old, old, frame.index)
            for track, box in zip(tracks, boxes, strict=True)
            if (old := patch(frame, box)) is not None
        ]

    def push(self, frame: Frame) -> None:
        """Compare the next frame."""
        for face in self._watched:
            if face.ended or frame.index > self._until:
                continue
            new = patch(frame, face.box)
            if new is not None and _shows(new, face):
                face.newest, face.last = new, frame.index
            else:
                face.ended = True

    @property
    def found(self) -> list[Lingering]:
        """The faces that showed in at least one frame of the new shot."""
        return [face for face in self._watched if face.last >= self.first]


def _shows(new: Patch, face: Lingering) -> bool:
    return correlation(new, face.newest) >= STEADY and correlation(new, face.patch) >= ALIKE
