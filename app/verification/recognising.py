"""Recognise the faces that are visible in a result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.identity.evidence import Evidence
from app.identity.gallery import Gallery
from app.identity.matching import Match, match_tracks
from app.identity.scale import Scale
from app.pipeline.chips import ChipCollector
from app.plan import Plan, PlanTrack
from app.tracking.observations import Observation, Tracklet
from app.types import FaceRecogniser, Frame
from app.verification.examiner import Sighting


@dataclass(slots=True, eq=False)
class VisibleFace:
    """A face that is visible through some frames, with the observations that have a chip."""

    shot: int
    first: int
    last: int
    tracklet: Tracklet = field(default_factory=Tracklet)


class Recogniser:
    """Collects the best chips of visible faces, and compares them with a gallery at the end.

    It keeps a few chips of each face, whatever its length.
    """

    def __init__(self, recogniser: FaceRecogniser, gallery: Gallery, scale: Scale) -> None:
        self._frames: dict[int, Frame] = {}
        self._chips = ChipCollector(recogniser, self._frames)
        self._gallery, self._scale = gallery, scale
        self._dimension = recogniser.dimension
        self._faces: dict[object, VisibleFace] = {}

    def add(self, key: object, shot: int, sighting: Sighting, frame: Frame) -> None:
        """Add a sighting in ``frame`` of the face with this key."""
        if sighting.landmarks is None:
            return
        face = self._faces.setdefault(key, VisibleFace(shot, sighting.frame, sighting.frame))
        face.last = sighting.frame
        self._frames.clear()
        self._frames[sighting.frame] = frame
        seen = Observation(sighting.frame, sighting.box, sighting.score, sighting.landmarks)
        face.tracklet.observations.append(seen)
        self._chips.add(face.tracklet, sighting.frame - 1)
        # Its first observation names a tracklet; others are needed only for their chips.
        head, *others = face.tracklet.observations
        kept = [one for one in others if self._chips.chips_of(Tracklet([one]))]
        face.tracklet.observations[:] = [head, *kept]

    def embed_ended(self, before: int) -> None:
        """Embed the chips of faces that were last seen before a frame, once there are many."""
        self._chips.embed_ended(before)

    def matches(self, plan: Plan) -> Mapping[object, Match | None]:
        """Return the match of each face; the hidden people of the plan are where they are."""
        keys = list(self._faces)
        evidence = [self._evidence(self._faces[key]) for key in keys]
        hidden = _hidden_people(plan, self._gallery, self._dimension)
        found = match_tracks([*evidence, *hidden], self._gallery, self._scale)
        return dict(zip(keys, found, strict=False))

    def _evidence(self, face: VisibleFace) -> Evidence:
        (chips,) = self._chips.embed([face.tracklet])
        return Evidence(
            shot=face.shot,
            first=face.first,
            last=face.last,
            embeddings=chips.embeddings,
            qualities=chips.qualities,
            sizes=chips.sizes,
            frames=chips.frames,
            flaw=chips.flaw,
        )


def _hidden_people(plan: Plan, gallery: Gallery, dimension: int) -> Sequence[Evidence]:
    """Return the tracks in which the plan hides a person of the gallery: nobody is there twice."""
    numbers = {name: number for number, name in enumerate(gallery.names)}
    return [
        _selected(track, numbers[track.person], dimension)
        for track in plan.tracks
        if track.decision == "blur" and not track.uncertain and track.person in numbers
    ]


def _selected(track: PlanTrack, person: int, dimension: int) -> Evidence:
    none = np.zeros(0, np.float32)
    rows = np.zeros((0, dimension), np.float32)
    return Evidence(track.shot, track.first, track.last, rows, none, none, selected=person)
