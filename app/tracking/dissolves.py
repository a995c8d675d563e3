"""Find faces that stay visible after a cut, while a dissolve fades out the old shot.

A shot detector reports a dissolve as a single cut somewhere inside it, and tracks never cross a
cut. So the last box of each face in a shot is watched in the next shot, for as long as the image
in it still looks like the face. Images are compared as small grey patches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.geometry import clip_to_pixels
from app.types import Boxes, Frame

Patch = NDArray[np.float32]
PATCH_SIDE = 20
"""Side of a patch in samples."""
MIN_CORRELATION_WITH_SHOT = 0.4
"""The face is still visible from this correlation with its last patch in the old shot on. A face
that has half faded correlates at about 0.7; after a hard cut it is about 0."""
MIN_CORRELATION_WITH_PREVIOUS = 0.8
"""Minimum correlation with the previous frame: a fade changes little per frame, a cut a lot."""


def patch(frame: Frame, box: Boxes) -> Patch | None:
    """Return the image in a (4,) box as (20, 20) luma of mean 0 and deviation 1.

    Return None if the box lies outside the frame.
    """
    region = clip_to_pixels(box, frame.size)
    if region is None:
        return None
    luma = frame.luma((PATCH_SIDE, PATCH_SIDE), region)
    return np.asarray((luma - luma.mean()) / max(float(luma.std()), 1.0), np.float32)


def correlation(a: Patch, b: Patch) -> float:
    """Return the correlation of two patches: 1 for equal ones, -1 for negatives, about 0 otherwise.

    >>> patch = np.float32([[1, -1], [1, -1]])
    >>> correlation(patch, patch), correlation(patch, -patch)
    (1.0, -1.0)
    """
    return float((a * b).mean())


@dataclass(slots=True)
class FadingFace:
    """A face of the previous shot (number ``track``) that was visible up to ``last_frame``.

    ``shot_patch`` is its last patch in the old shot, ``latest_patch`` the newest one in its box.
    """

    track: int
    box: Boxes
    shot_patch: Patch
    latest_patch: Patch
    last_frame: int
    gone: bool = False


class DissolveWatcher:
    """Watch the boxes (N, 4) of ``tracks`` in the last frame of a shot, for ``max_frames`` frames.

    Push every frame of the new shot in order, then read ``visible_faces``.
    """

    def __init__(self, frame: Frame, tracks: Sequence[int], boxes: Boxes, max_frames: int) -> None:
        self.first_frame = frame.index + 1
        self._end = frame.index + max_frames
        self._faces = [
            FadingFace(track, box, last, last, frame.index)
            for track, box in zip(tracks, boxes, strict=True)
            if (last := patch(frame, box)) is not None
        ]

    def push(self, frame: Frame) -> None:
        """Compare the watched boxes in the next frame."""
        for face in self._faces:
            if face.gone or frame.index > self._end:
                continue
            new = patch(frame, face.box)
            if new is not None and _is_visible(new, face):
                face.latest_patch, face.last_frame = new, frame.index
            else:
                face.gone = True

    @property
    def visible_faces(self) -> list[FadingFace]:
        """The faces that were visible in at least one frame of the new shot."""
        return [face for face in self._faces if face.last_frame >= self.first_frame]


def _is_visible(new: Patch, face: FadingFace) -> bool:
    return (
        correlation(new, face.latest_patch) >= MIN_CORRELATION_WITH_PREVIOUS
        and correlation(new, face.shot_patch) >= MIN_CORRELATION_WITH_SHOT
    )
