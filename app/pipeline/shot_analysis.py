"""First pass over one shot: follow its faces, collect chips, and build tracks."""

import math
from dataclasses import dataclass

import numpy as np

from app.identity.evidence import affinity
from app.identity.scale import Scale
from app.pipeline.chips import ChipCollector, EmbeddedChips
from app.pipeline.face_looker import FaceLooker
from app.pipeline.square_frames import stored, to_stored
from app.tracking.association import stitch
from app.tracking.dissolves import DissolveWatcher
from app.tracking.interpolation import interpolate, pad, padding_limits, smooth, sweep
from app.tracking.intervals import NEW_FACE_SCORE
from app.tracking.observations import Tracklet, boxes_of
from app.tracking.tracker import ShotTracker
from app.types import Boxes, FaceRecogniser, Frame

MAX_LIGHT_PENALTY = 1.0
"""A change of light by a factor of e or more counts as much against one person as a distance of one
face. It does not forbid a join, because lights may be switched on or off."""


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """A face through a shot: a box for every frame from ``first`` on, padding included.

    Boxes are in pixels of the decoded frame, which need not be square.

    ``seen`` are the first and last frames with an observation. ``chips`` is None if there is no
    recogniser. ``remainder_of`` is the number of the track that it continues after a cut, for a
    face that a dissolve fades out.
    """

    shot: int
    first: int
    boxes: Boxes
    seen: tuple[int, int]
    chips: EmbeddedChips | None
    remainder_of: int | None = None


@dataclass(frozen=True, slots=True)
class ShotContext:
    """Parts and limits that all shots of a run share.

    ``frames`` are the frames in memory by their index, with square pixels; another thread may add
    some. A lost face may return within ``max_gap`` frames. Tracks are extended by ``padding``
    frames at both ends.
    """

    looker: FaceLooker
    frames: dict[int, Frame]
    recogniser: FaceRecogniser | None
    scale: Scale
    max_gap: int
    padding: int

    def forget_frames_before(self, index: int) -> None:
        """Remove earlier frames from memory."""
        for old in [i for i in tuple(self.frames) if i < index]:
            del self.frames[old]


class ShotAnalysis:
    """Follow the faces of shot ``number``, created at its frame ``first``.

    ``watcher`` watches the faces of the previous shot. Call ``advance`` with every later frame of
    the shot, then ``finish``.
    """

    def __init__(
        self, context: ShotContext, number: int, first: int, watcher: DissolveWatcher
    ) -> None:
        self._context = context
        self._number = number
        self.first = self._last_look = first
        self._watcher = watcher
        self._watcher.push(stored(context.frames[first]))
        self._chips: ChipCollector | None = None
        if context.recogniser is not None:
            self._chips = ChipCollector(context.recogniser, context.frames)
        self._tracker = ShotTracker(context.looker, first, context.max_gap)
        self._collect_chips(self._tracker.tracklets, first - 1)

    def advance(self, index: int, *, look: bool) -> None:
        """Process the next frame; take a full look if one is due."""
        self._watcher.push(stored(self._context.frames[index]))
        if look:
            self._look(index)

    def finish(self, end: int, first_number: int) -> tuple[list[FaceTrack], DissolveWatcher]:
        """End the shot before frame ``end``; number its tracks from ``first_number`` on.

        Return the tracks, starting with the remainders of the previous shot's faces, and a watcher
        of the faces at the end of this shot.
        """
        if self._last_look < end - 1:
            self._look(end - 1)
        credible = [t for t in self._tracker.tracklets if t.score >= NEW_FACE_SCORE]
        tracklets = stitch(credible, self._context.max_gap, self._affinity)
        chips = [None] * len(tracklets) if self._chips is None else self._chips.embed(tracklets)
        limits = padding_limits(tracklets, (self.first, end))
        tracks = [self._track(*args) for args in zip(tracklets, limits, chips, strict=True)]
        remainders = self._remainders()
        watcher = self._watch(tracks, first_number + len(remainders), end)
        return remainders + tracks, watcher

    def _watch(self, tracks: list[FaceTrack], first_number: int, end: int) -> DissolveWatcher:
        """Watch those of ``tracks``, numbered from ``first_number``, that reach frame ``end``."""
        last = {
            number: track.boxes[-1]
            for number, track in enumerate(tracks, first_number)
            if track.first + len(track.boxes) == end
        }
        boxes = np.asarray([*last.values()], np.float32).reshape(-1, 4)
        frame = stored(self._context.frames[end - 1])
        return DissolveWatcher(frame, [*last], boxes, self._context.max_gap)

    def _look(self, index: int) -> None:
        """Link faces up to this frame, and forget the frames before it."""
        self._collect_chips(self._tracker.advance(index), self._last_look)
        self._last_look = index
        self._context.forget_frames_before(index)

    def _collect_chips(self, tracklets: list[Tracklet], since: int) -> None:
        if self._chips is not None:
            for tracklet in tracklets:
                self._chips.add(tracklet, since)
            self._chips.embed_ended(since)

    def _remainders(self) -> list[FaceTrack]:
        """Return tracks of the previous shot's faces that stayed visible in this shot."""
        first = self._watcher.first_frame
        return [
            FaceTrack(
                shot=self._number,
                first=first,
                boxes=np.repeat(face.box[None], face.last_frame - first + 1, axis=0),
                seen=(first, face.last_frame),
                chips=None,
                remainder_of=face.track,
            )
            for face in self._watcher.visible_faces
        ]

    def _affinity(self, early: Tracklet, late: Tracklet) -> float | None:
        """Return how much two tracklets look like one person: see ``app.tracking.association``."""
        if self._chips is None:
            return None
        one, other = self._chips.embed([early, late])
        score = affinity(one, other, self._context.scale)
        if not one.light or not other.light:
            return score
        return (score or 0.0) - light_penalty(one.light, other.light)

    def _track(
        self, tracklet: Tracklet, limits: tuple[int, int], chips: EmbeddedChips | None
    ) -> FaceTrack:
        frames = np.asarray([o.frame for o in tracklet.observations], np.int64)
        boxes = interpolate(frames, smooth(frames, boxes_of(tracklet.observations)))
        first, padded = pad(tracklet.first, boxes, self._context.padding, limits)
        seen = (tracklet.first, tracklet.last)
        # All frames of a shot have the same shape.
        hidden = to_stored(sweep(padded), self._context.frames[self._last_look])
        return FaceTrack(self._number, first, hidden, seen, chips)


def light_penalty(one: float, other: float) -> float:
    """Return how much the light of two faces counts against one person, 0 to the maximum."""
    return min(MAX_LIGHT_PENALTY, abs(math.log(one / other)))
