"""Hide what was found when a result was checked: a plan with more to hide."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

import numpy as np

from app.geometry import centres, grow, hull, moved_inside
from app.pipeline import FaceBlur
from app.pipeline.face_looker import FaceLooker
from app.pipeline.poses import ROTATIONS
from app.pipeline.square_frames import squared, to_stored
from app.plan import Plan, PlanTrack
from app.plan.records import MAX_COUNT
from app.types import Boxes, Frame, Progress
from app.verification.records import Finding, Verification
from app.video import Media, open_source

REASON: Final = "found again when the result was checked"
"""The reason of a track that a repair has added or changed."""
GROWTH: Final = 1.3
"""Factor of the boxes that a repair adds: a face that was hidden by half lies partly beyond."""
MIN_PADDING: Final = 3
"""Least number of frames before and after a finding that are hidden too, as by the analysis."""
STAGE: Final = "repair"
"""The name of this pass for progress."""
_REACH: Final = 1.0
"""Distance of a face from where it was last, in units of its side, up to which it is the same."""


def repair(
    session: FaceBlur,
    media: Media,
    plan: Plan,
    found: Verification,
    progress: Progress | None = None,
) -> Plan | None:
    """Return a plan that also hides the findings; None if they cannot be hidden.

    The source is looked at in every frame of each finding and around it, within its shot. Other
    frames than those of the source cannot be repaired.

    Raises:
        MediaError: the source cannot be read to its end.
    """
    if any(finding.kind == "frames" for finding in found.findings):
        return None
    kept = {track.id for track in plan.tracks if track.decision == "keep"}
    named = {one.track: one.person for one in found.findings if one.track in kept and one.person}
    tracks = [
        _hidden(track, named[track.id]) if track.id in named else track for track in plan.tracks
    ]
    others = [one for one in found.findings if one.track not in named]
    padding = max(MIN_PADDING, session.settings.pad)
    patches = [patch for one in others for patch in _patches(one, plan, padding)]
    if patches:
        times = _fill(session, media, patches, progress)
        free = _free_ids(plan)
        size = plan.source.width, plan.source.height
        tracks += [patch.track(next(free), times, size) for patch in patches]
    return replace(plan, tracks=tuple(tracks))


def _hidden(track: PlanTrack, person: str | None) -> PlanTrack:
    """Return a kept track as one to hide."""
    return replace(track, decision="blur", person=person, uncertain=True, reason=REASON)


def _free_ids(plan: Plan) -> Iterator[int]:
    used = {track.id for track in plan.tracks}
    return (number for number in range(MAX_COUNT) if number not in used)


@dataclass(slots=True, eq=False)
class _Patch:
    """A finding in one shot: the place of the face by frame, in pixels of the stored frame."""

    shot: int
    first: int
    last: int
    person: str | None
    known: Mapping[int, Boxes]
    boxes: dict[int, Boxes] = field(default_factory=dict)

    def expected(self, frame: int) -> Boxes:
        """Return where the face may be in a frame, (4,): where it was seen, or near there."""
        if frame in self.known:
            return self.known[frame]
        if frame > min(self.known) and frame - 1 in self.boxes:
            return self.boxes[frame - 1]
        return self.known[min(self.known, key=lambda other: abs(other - frame))]

    def track(self, number: int, times: "_Times", size: tuple[int, int]) -> PlanTrack:
        """Return the track that hides the face."""
        frames = np.arange(self.first, self.last + 1)
        boxes = grow(np.asarray([self.boxes[int(frame)] for frame in frames], np.float32), GROWTH)
        rows = np.concatenate([frames[:, None], moved_inside(boxes, size)], axis=1)
        return PlanTrack(
            id=number,
            shot=self.shot,
            first=self.first,
            last=self.last,
            person=self.person,
            similarity=None,
            decision="blur",
            uncertain=True,
            reason=REASON,
            boxes=rows.astype(np.float32),
            times=times.of(self.first, self.last),
        )


def _patches(finding: Finding, plan: Plan, padding: int) -> Iterator[_Patch]:
    """Yield a patch for each shot that a finding touches."""
    rows = {int(row[0]): row[1:] for row in finding.rows}
    for shot, (begin, end) in enumerate(plan.shots):
        known = {frame: box for frame, box in rows.items() if begin <= frame < end}
        if known:
            first = max(begin, min(known) - padding)
            last = min(end - 1, max(known) + padding)
            yield _Patch(shot, first, last, finding.person, known)


@dataclass(slots=True)
class _Times:
    """The times of some frames, in seconds after the first one."""

    seconds: dict[int, Fraction]
    end: Fraction

    def of(self, first: int, last: int) -> tuple[float, float]:
        """Return the times at which the frames ``first`` to ``last`` begin and end."""
        begin = self.seconds[first]
        end = self.seconds.get(last + 1, max(begin, self.end))
        return round(float(begin), 3), round(float(end), 3)


def _fill(
    session: FaceBlur, media: Media, patches: Sequence[_Patch], progress: Progress | None
) -> _Times:
    """Look at the source in every frame of the patches, and find the face there."""
    source = open_source(media, threads=session.settings.threads)
    frames: dict[int, Frame] = {}
    poses = ROTATIONS[session.settings.rotate]
    looker = FaceLooker(session.parts.detector, frames, poses)
    seconds: dict[int, Fraction] = {}
    needed = {frame for one in patches for frame in range(one.first, one.last + 2)}
    start = None
    for frame in source:
        start = frame.pts if start is None else start
        if progress is not None:
            progress(STAGE, frame.index + 1, source.info.frames)
        if frame.index not in needed:
            continue
        seconds[frame.index] = (frame.pts - start) * source.info.time_base
        frames.clear()
        frames[frame.index] = frame if source.info.is_image else squared(frame)
        for patch in patches:
            if patch.first <= frame.index <= patch.last:
                patch.boxes[frame.index] = _place(patch, frame.index, frames, looker)
    return _Times(seconds, source.info.duration)


def _place(patch: _Patch, index: int, frames: Mapping[int, Frame], looker: FaceLooker) -> Boxes:
    """Return the place to hide in a frame, (4,): the expected one and the face that is near it."""
    expected, view = patch.expected(index), frames[index]
    scale = to_stored(np.ones((1, 4), np.float32), view)
    faces = looker.detect_near(index, expected[None] / scale)
    if not len(faces):
        return expected
    found = to_stored(faces.boxes, view)
    distance = np.linalg.norm(centres(found) - centres(expected[None]), axis=1)
    best = int(distance.argmin())
    if distance[best] > _REACH * float((expected[2:] - expected[:2]).max()):
        return expected
    seen = found[best : best + 1]
    place = hull(expected[None], seen) if index in patch.known else seen
    return np.asarray(place[0], np.float32)
