"""Run the face detector for the tracker: on whole frames, at coarse scale, and on crops."""

import math
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from app.errors import FaceBlurError
from app.geometry import clip_to_pixels, grow, suppress_overlaps
from app.pipeline.pose_search import PoseSearch
from app.pipeline.poses import UPRIGHT, Pose, Poses, detect_in_poses
from app.pipeline.square_frames import other_stretch
from app.pipeline.views import views
from app.tracking.dissolves import correlation, patch
from app.tracking.glimpses import find_glimpses, reduction_of, small_copy
from app.types import Boxes, FaceDetector, Faces, Frame, Image, Size

CROP_SIDE = 160
"""Side of a crop as detector input, in pixels: at most a tenth of the cost of a whole frame."""
CROP_PER_FACE = 2.5
"""Side of the crop divided by the longer side of the box. The face is then about 64 pixels in it, a
size that suits the detector, whatever its size in the frame."""
QUICK_REDUCTION = 2
"""A quick look divides the input size of a full look by this."""
COARSE_REDUCTION = 3
"""A full look also runs on the input divided by this: at full size the detector misses faces that
fill the frame."""
COARSE_MIN_SIDE = 96
"""Minimum side of a face from the coarse input, in pixels of the full input."""
DUPLICATE_IOU = 0.4
"""IoU from which two boxes of one frame are the same face."""


class FaceLooker:
    """The ``Looker`` of ``app.tracking``, over the frames that are in memory.

    ``frames`` is shared with the caller, which adds and removes frames. Every look shows the
    picture in all ``poses``; ``search`` may try others at whole looks. ``time_base`` is that of the
    frames. ``executor`` runs the whole looks that are prepared.
    """

    def __init__(
        self,
        detector: FaceDetector,
        frames: dict[int, Frame],
        poses: Poses = (UPRIGHT,),
        search: PoseSearch | None = None,
        time_base: Fraction = Fraction(1, 1000),
        *,
        executor: Executor | None = None,
    ) -> None:
        is_reentrant = bool(getattr(detector, "is_reentrant", False))
        self._detector = detector if is_reentrant else _OneAtATime(detector)
        self._frames = frames
        self._time_base = time_base
        self._poses = poses
        self._search = search
        self._executor = executor
        self._prepared: dict[int, Future[tuple[Sequence[Image], Faces]]] = {}

    def prepare(self, index: int) -> None:
        """Begin the whole look at frame ``index``, which ``detect_all`` will ask for."""
        if self._executor is not None:
            self._prepared[index] = self._executor.submit(self._look_at, self._frames[index])

    def detect_all(self, index: int) -> Faces:
        """Return every face of frame ``index``, large and small."""
        frame, prepared = self._frames[index], self._prepared.pop(index, None)
        images, faces = self._look_at(frame) if prepared is None else prepared.result()
        if self._search is not None:
            stretch = other_stretch(frame)
            others = () if stretch == 1 else (Pose(stretch=stretch),)
            self._search.examine(faces, lambda pose: self._detect_in(images, (pose,)), others)
        return rescale_faces(faces, self._detector.input_size(frame.size), frame.size)

    def _look_at(self, frame: Frame) -> tuple[Sequence[Image], Faces]:
        """Return the pictures of a whole look, and their faces."""
        images = views(frame, self._detector.input_size(frame.size))
        return images, self._detect_in(images, self._poses)

    def _detect_in(self, images: Sequence[Image], poses: Poses) -> Faces:
        found = [self._detect_whole(image, poses) for image in images]
        return found[0] if len(found) == 1 else merge_duplicates(found)

    def _detect_whole(self, image: Image, poses: Poses) -> Faces:
        """Return the faces of a whole image at its size, and the large ones at coarse scale."""
        size = image.shape[1], image.shape[0]
        small = max(1, size[0] // COARSE_REDUCTION), max(1, size[1] // COARSE_REDUCTION)
        coarse = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8)
        fine, coarse_faces = detect_in_poses(self._detector, [image, coarse], poses)
        rescaled = [rescale_faces(faces, small, size) for faces in coarse_faces]
        return merge_duplicates([*fine, *(_large(faces) for faces in rescaled)])

    def detect_large(self, index: int) -> Faces:
        """Return the larger faces of frame ``index``."""
        frame = self._frames[index]
        width, height = self._detector.input_size(frame.size)
        size = max(1, width // QUICK_REDUCTION), max(1, height // QUICK_REDUCTION)
        image = frame.rgb(size)
        faces = self._detect_small(image, self._poses)
        # Faces that come and go quickly may not be visible in any whole look.
        if self._search is not None:
            self._search.examine_quick(faces, lambda pose: self._detect_small(image, (pose,)))
        return rescale_faces(faces, size, frame.size)

    def _detect_small(self, image: Image, poses: Poses) -> Faces:
        (results,) = detect_in_poses(self._detector, [image], poses)
        return results[0] if len(results) == 1 else merge_duplicates(results)

    def correlations(self, first: int, boxes: Boxes) -> NDArray[np.float32]:
        """Return the patch correlation of each box with the next: see ``Looker``."""
        patches = [
            patch(self._frames[index], box) if index in self._frames else None
            for index, box in enumerate(boxes, first)
        ]
        values = [
            1.0 if a is None or b is None else correlation(a, b) for a, b in pairwise(patches)
        ]
        return np.asarray(values, np.float32)

    def durations(self, first: int, last: int) -> list[Fraction]:
        """Return the seconds from each frame to the next: see ``Looker``."""
        times = [self._frames[index].pts * self._time_base for index in range(first, last + 1)]
        return [after - before for before, after in pairwise(times)]

    def glimpses(self, first: int, last: int) -> dict[int, Boxes]:
        """Return the places (N, 4) of glimpses by frame: see ``Looker``."""
        frames = [self._frames[index] for index in range(first, last + 1)]
        copies = [small_copy(frame) for frame in frames]
        reduction = reduction_of(frames[0].size)
        return {
            first + number: places * np.float32(reduction)
            for number, places in find_glimpses(copies).items()
        }

    def detect_near(self, index: int, boxes: Boxes, reach: float = 1.0) -> Faces:
        """Return the faces near (N, 4) boxes, without duplicates; ``reach`` scales the crops."""
        frame = self._frames[index]
        crops = [crop for box in boxes if (crop := Crop.around(frame, box, reach)) is not None]
        results = detect_in_poses(self._detector, [crop.image for crop in crops], self._poses)
        return merge_duplicates(
            [c.to_frame(f) for c, each in zip(crops, results, strict=True) for f in each]
        )


class _OneAtATime:
    """A detector that is called by one thread at a time."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector, self._lock = detector, threading.Lock()

    def input_size(self, size: Size) -> Size:
        """Return the best input size for a frame of ``size``."""
        return self._detector.input_size(size)

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """Return the faces of each image."""
        with self._lock:
            return self._detector.detect(images)


class Crop:
    """A square part of a frame around a face, black where it extends beyond the frame."""

    def __init__(self, image: Image, scale: float, corner: tuple[float, float]) -> None:
        self.image = image
        self._scale = scale
        self._corner = corner

    @classmethod
    def around(cls, frame: Frame, box: Boxes, reach: float = 1.0) -> "Crop | None":
        """Return the crop around a (4,) box, or None if it lies outside the frame."""
        side = max(float((box[2:] - box[:2]).max()), 4.0) * CROP_PER_FACE * reach
        middle = (box[:2] + box[2:]) / 2
        corner = (float(middle[0]) - side / 2, float(middle[1]) - side / 2)
        square = np.asarray([*corner, corner[0] + side, corner[1] + side], np.float32)
        region = clip_to_pixels(square, frame.size)
        if region is None:
            return None
        scale = CROP_SIDE / side
        x1, y1, x2, y2 = region
        width = max(1, min(CROP_SIDE, round((x2 - x1) * scale)))
        height = max(1, min(CROP_SIDE, round((y2 - y1) * scale)))
        left = min(max(0, round((x1 - corner[0]) * scale)), CROP_SIDE - width)
        top = min(max(0, round((y1 - corner[1]) * scale)), CROP_SIDE - height)
        image = np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8)
        image[top : top + height, left : left + width] = frame.rgb((width, height), region)
        return cls(image, scale, corner)

    def to_frame(self, faces: Faces) -> Faces:
        """Return faces of the crop in pixels of the frame, without those that its border cuts."""
        middle = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
        central = (np.abs(middle - CROP_SIDE / 2) < CROP_SIDE / 4).all(axis=1)
        whole = (faces.boxes > 2).all(axis=1) & (faces.boxes < CROP_SIDE - 2).all(axis=1)
        kept = faces.take(np.flatnonzero(central | whole))
        return kept.moved((1 / self._scale, 1 / self._scale), self._corner)


def _large(faces: Faces) -> Faces:
    """Return the faces that the coarse input shows well enough."""
    sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).min(axis=1, initial=1e9)
    return faces.take(np.flatnonzero(sides >= COARSE_MIN_SIDE))


def rescale_faces(faces: Faces, input_size: Size, size: Size) -> Faces:
    """Convert faces from pixels of a detector input to pixels of a frame of ``size``."""
    return faces.moved((size[0] / input_size[0], size[1] / input_size[1]), (0, 0))


def merge_duplicates(results: Sequence[Faces]) -> Faces:
    """Join several detections of one frame, keeping the highest score of each face."""
    some = [faces for faces in results if len(faces)]
    if not some:
        return Faces.empty()
    faces = Faces(
        np.concatenate([f.boxes for f in some]),
        np.concatenate([f.scores for f in some]),
        np.concatenate([f.landmarks for f in some]),
    )
    return faces.take(suppress_overlaps(faces.boxes, faces.scores, DUPLICATE_IOU))


def face_surroundings(
    frame: Frame, box: Boxes, max_side: int
) -> tuple[Image, float, tuple[int, int]]:
    """Return an RGB image of twice a (4,) box, with the face reduced to ``max_side`` pixels.

    Return the image, its scale, and the frame's pixel (x, y) at its top left corner. Smaller faces
    keep their size.

    Raises:
        FaceBlurError: the box lies outside the frame.
    """
    region = clip_to_pixels(grow(box[None], 2.0)[0], frame.size)
    if region is None:
        raise FaceBlurError(f"frame {frame.index}: cannot cut a chip of a face outside the frame")
    x1, y1, x2, y2 = region
    longest = float((box[2:] - box[:2]).max())
    scale = min(1.0, max_side / longest)
    size = math.ceil((x2 - x1) * scale), math.ceil((y2 - y1) * scale)
    return frame.rgb(size, region), scale, (x1, y1)
