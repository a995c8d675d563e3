"""Examine one frame of a result beside the same frame of its source."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, TypeAlias

import numpy as np

from app.geometry import areas, clip_to_pixels, grow, intersections, iou
from app.pipeline.face_looker import FaceLooker
from app.pipeline.pose_search import PoseSearch
from app.pipeline.poses import Poses
from app.pipeline.square_frames import squared, to_stored
from app.pipeline.views import views
from app.plan import PlanTrack
from app.tracking.intervals import NEW_FACE_SCORE, SAME_FACE_IOU
from app.types import Boxes, FaceDetector, Faces, Frame, Landmarks
from app.verification.belonging import Owner, owner_of
from app.verification.detail import READABLE, Trace, trace
from app.verification.places import Places, PlanPlaces

MIN_NEW_SCORE: Final = 0.5
"""Score of a face that the plan does not have. In a look at every frame, a chair, a dark background
and faces of 4 pixels reached 0.49 once in a while; faces left out on purpose had 0.8 and more."""
MIN_NEW_SIDE: Final = 8
"""The shorter side of such a face in pixels: nobody can be recognised in a smaller one."""
UNCHANGED: Final = 0.6
"""Correlation of detail from which a hidden region is as before, also where no face was found. Less
can be chance there: blocks of ``pixelate`` over a plain background reach 0.41."""
MIN_VISIBLE: Final = 0.6
"""Part of a face inside the frame from which it counts as a whole one. Of one cut off by the
border, ``pixelate`` leaves few and large blocks, whose edges reach 0.25 by chance."""
MIN_SIDE: Final = 24
"""The same for the shorter side in pixels. Cells of 4 pixels leave a small face more than chance:
up to 0.23 with 11 to 18 pixels, in which nobody can be recognised."""
SURE_FACE: Final = 0.7
"""Score of a face in a frame with hidden regions, if there is no source to compare with. What the
effects draw is taken for a face with up to 0.68."""
SEARCH_EVERY: Final = 24
"""Frames between two whole looks at the source, which only find out how the picture lies."""


SightingKind: TypeAlias = Literal["readable", "outside", "kept"]


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A face that is visible in one frame of a result.

    ``kind``: ``readable`` in a hidden region, ``outside`` of all tracks, or of a ``kept`` track.
    ``box`` (4,) and ``landmarks`` (5, 2) are in pixels of the frame with square pixels, and
    ``stored`` (4,) is the box in those of the stored frame. ``measure`` is the correlation of
    detail, or without a source the score. ``landmarks`` are None if no face was found there.
    """

    frame: int
    kind: SightingKind
    track: PlanTrack | None
    box: Boxes
    stored: Boxes
    score: float
    measure: float
    landmarks: Landmarks | None


class Examiner:
    """Examines the frames of one result.

    Args:
        detector: finds the faces.
        places: the plan.
        poses: the ways in which faces are shown to the detector.
        search: finds out whether there are more.
        time_base: that of the frames.
    """

    def __init__(
        self,
        detector: FaceDetector,
        places: PlanPlaces,
        poses: Poses,
        search: PoseSearch,
        time_base: Fraction,
    ) -> None:
        self._places, self._search = places, search
        self._results: dict[int, Frame] = {}
        self._sources: dict[int, Frame] = {}
        self._result_looker = FaceLooker(detector, self._results, poses, None, time_base)
        self._source_looker = FaceLooker(detector, self._sources, poses, search, time_base)
        self._blind_looker = FaceLooker(detector, self._results, poses, search, time_base)

    @property
    def frame(self) -> Frame:
        """The frame of the result that was examined last, with square pixels."""
        (frame,) = self._results.values()
        return frame

    def examine(self, source: Frame | None, result: Frame, *, is_image: bool) -> list[Sighting]:
        """Return the faces that are visible in a frame.

        Without a source, faces in hidden regions count only if the detector is sure.
        """
        view = result if is_image else squared(result)
        index = view.index
        self._results.clear()
        self._results[index] = view
        places = self._places.at(index)
        if source is None:
            found = self._blind_looker.detect_all(index)
            return list(_seen_alone(_Look(found, view), places))
        self._sources.clear()
        self._sources[index] = source if is_image else squared(source)
        found = self._result_looker.detect_all(index)
        if index % SEARCH_EVERY == 0:
            self._source_looker.detect_all(index)
        return self._compared(found, index, places)

    def _compared(self, found: Faces, index: int, places: Places) -> list[Sighting]:
        result, source = self._results[index], self._sources[index]
        look = _Look(found, result)
        owners = [owner_of(box, index, places) for box in look.stored]
        sightings = [look.sighting(i, "kept", own, 0.0) for i, own in enumerate(owners) if own.kept]
        others = np.asarray([not owner.kept for owner in owners], np.bool_)
        expected = np.concatenate([_squared_boxes(places, result), found.boxes[others]])
        if len(expected):
            near = _Look(self._source_looker.detect_near(index, expected), source)
            sightings += _seen_in_both(near, result, places)
        sightings += _unchanged(source, result, places, sightings)
        return sightings


@dataclass(frozen=True, slots=True)
class _Look:
    """The faces of a look, in pixels of ``view``."""

    faces: Faces
    view: Frame

    @property
    def stored(self) -> Boxes:
        """The boxes (N, 4) in pixels of the stored frame."""
        return to_stored(self.faces.boxes, self.view)

    def sighting(self, i: int, kind: SightingKind, owner: Owner, measure: float) -> Sighting:
        """Return face ``i`` as a sighting."""
        faces = self.faces
        return Sighting(
            self.view.index,
            kind,
            owner.track,
            faces.boxes[i],
            self.stored[i],
            float(faces.scores[i]),
            measure,
            faces.landmarks[i],
        )


def _squared_boxes(places: Places, view: Frame) -> Boxes:
    """Return the boxes of the tracks to hide, (N, 4), in pixels of the view."""
    scale = to_stored(np.ones((1, 4), np.float32), view)
    return np.asarray(places.boxes[places.hidden] / scale, np.float32)


def _seen_in_both(near: _Look, result: Frame, places: Places) -> Iterator[Sighting]:
    """Yield the faces of the source that are not kept and can still be read in the result."""
    for i, box in enumerate(near.stored):
        owner, score = owner_of(box, result.index, places), float(near.faces.scores[i])
        if owner.kept or not _is_credible(owner, score, near.faces.boxes[i]):
            continue
        left = trace_of(near.view, result, near.faces.boxes[i])
        # A box of low score may lie beside the face, and hold what is not hidden there.
        is_clear = score >= NEW_FACE_SCORE and _is_clear(near.faces.boxes[i], result)
        if left.is_readable and left.alike >= (READABLE if is_clear else UNCHANGED):
            yield near.sighting(i, "readable" if owner.inside else "outside", owner, left.alike)


def _is_clear(box: Boxes, view: Frame) -> bool:
    """Whether a (4,) box is large enough, and mostly inside the frame."""
    frame = np.asarray([[0, 0, *view.size]], np.float32)
    visible = float(intersections(box[None], frame)[0, 0])
    large = float((box[2:] - box[:2]).min()) >= MIN_SIDE
    return large and visible >= MIN_VISIBLE * float(areas(box[None])[0])


def _is_credible(owner: Owner, score: float, box: Boxes) -> bool:
    """Whether a detection with this (4,) box is a face to hide; at any score if one is expected."""
    if (owner.inside or owner.between) and owner.iou >= SAME_FACE_IOU:
        return True
    if owner.inside:
        return score >= NEW_FACE_SCORE
    return score >= MIN_NEW_SCORE and float((box[2:] - box[:2]).min()) >= MIN_NEW_SIDE


def _unchanged(
    source: Frame, result: Frame, places: Places, sightings: list[Sighting]
) -> Iterator[Sighting]:
    """Yield the hidden regions that are as before, unless a face in them was seen already."""
    seen = np.asarray([s.stored for s in sightings if s.kind != "kept"], np.float32).reshape(-1, 4)
    views_of = _squared_boxes(places, result)
    for box, i in zip(views_of, np.flatnonzero(places.hidden).tolist(), strict=True):
        place = places.boxes[i]
        if places.distance[i] or (iou(place[None], seen) >= SAME_FACE_IOU).any():
            continue
        left = trace_of(source, result, box)
        if left.is_readable and left.alike >= UNCHANGED:
            track = places.tracks[i]
            yield Sighting(source.index, "readable", track, box, place, 0.0, left.alike, None)


def _seen_alone(look: _Look, places: Places) -> Iterator[Sighting]:
    """Yield the faces of a result whose source is unknown."""
    is_drawn = bool((places.hidden & (places.distance == 0)).any())
    for i, box in enumerate(look.stored):
        owner, score = owner_of(box, look.view.index, places), float(look.faces.scores[i])
        if owner.kept:
            yield look.sighting(i, "kept", owner, score)
        elif score >= SURE_FACE or (
            not is_drawn and _is_credible(owner, score, look.faces.boxes[i])
        ):
            yield look.sighting(i, "readable" if owner.inside else "outside", owner, score)


def trace_of(source: Frame, result: Frame, box: Boxes) -> Trace:
    """Return the most that is left of a (4,) box in any view: of colours and of opacity."""
    region = clip_to_pixels(grow(box[None], 1.1)[0], source.size)
    if region is None:
        return Trace(0.0, 0.0)
    x, y = region[:2]
    x1, y1, x2, y2 = (box - np.asarray([x, y, x, y], np.float32)).tolist()
    before, after = views(source, None, region), views(result, None, region)
    traces = [
        trace(one, other, (x1, y1, x2, y2)) for one, other in zip(before, after, strict=False)
    ]
    return max(traces, key=lambda one: one.alike)
