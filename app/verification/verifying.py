"""Look at a result again: every frame, beside the source, with the plan at hand."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from app.errors import PlanError
from app.identity.gallery import Gallery
from app.identity.matching import Match
from app.identity.policies import POLICIES, Policy, policy_for
from app.pipeline import FaceBlur
from app.pipeline.frame_times import FrameTimes
from app.pipeline.pose_search import PoseSearch
from app.pipeline.poses import ROTATIONS, Pose, Poses
from app.plan import Plan, PlanTrack
from app.types import Frame, Progress
from app.verification.examiner import Examiner, Sighting
from app.verification.pairs import OtherFrames, read_pairs
from app.verification.places import REACH, PlanPlaces
from app.verification.recognising import Recogniser
from app.verification.records import Finding, Kind, Verification
from app.verification.stretches import Stretch, Stretches
from app.video import Media, open_source

STAGE = "verify"
"""The name of this pass for progress."""


def _ignore_progress(stage: str, done: int, expected: int | None) -> None:
    """Do nothing: no progress was requested."""


def verify(
    session: FaceBlur,
    plan: Plan,
    result: Media,
    source: Media | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Look at every frame of a result for faces that should be hidden.

    With the source, the detail of all faces is compared with it. With people in the gallery of the
    session, visible faces are recognised. The way to choose whom to hide is that of the plan.

    Raises:
        PlanError: the plan belongs to another source.
        MediaError: a file cannot be read to its end.
        ModelError: the models cannot be used.
    """
    if source is not None:
        truncated = plan.settings.get("accept_truncated", session.settings.accept_truncated)
        source.accept_truncated |= bool(truncated)
        if source.sha256 != plan.source.sha256:
            raise PlanError(f"{source}: the plan was made for another file; analyse it again")
    rotate = str(plan.settings.get("rotate", session.settings.rotate))
    poses = ROTATIONS.get(rotate, ROTATIONS["auto"])
    while True:
        turns = range(1, 4) if rotate == "auto" else ()
        search = PoseSearch(tuple(pose for turn in turns if (pose := Pose(turn)) not in poses))
        one = _Pass(session, plan, poses, search)
        found = one.run(result, source, progress or _ignore_progress)
        if found is not None:
            return found
        poses += search.found


@dataclass(frozen=True, slots=True)
class _Rule:
    """Decides whether a visible face that the plan does not have should be hidden."""

    policy: Policy
    choice: str
    unclear: str
    gallery: Gallery

    @classmethod
    def of(cls, session: FaceBlur, plan: Plan) -> "_Rule":
        """Return the rule of the plan; what it does not record is that of the session."""
        choice = str(plan.settings.get("blur", session.settings.choice))
        choice = choice if choice in POLICIES else "everyone"
        unclear = str(plan.settings.get("unclear", session.settings.unclear))
        policy = session.parts.policy or policy_for(choice, unclear)
        return cls(policy, choice, unclear, session.gallery)

    def hides(self, match: Match | None) -> bool:
        """Return whether to hide a face with this match."""
        if not self.gallery.people:
            # Nobody can be recognised: the face may be anybody.
            return self.choice != "listed" or self.unclear == "hide"
        return self.policy(match, self.name(match)).decision == "blur"

    def name(self, match: Match | None) -> str:
        """Return the name of the matched person, or nothing."""
        return "" if match is None or match.person is None else self.gallery.names[match.person]

    def listed(self, match: Match | None) -> str | None:
        """Return the name of a person to hide whom a face surely shows."""
        if match is None or match.standing != "sure" or self.choice == "others":
            return None
        return self.name(match)


class _Pass:
    """One pass over a result, with the same poses for all frames."""

    def __init__(self, session: FaceBlur, plan: Plan, poses: Poses, search: PoseSearch) -> None:
        self._plan, self._poses, self._search = plan, poses, search
        self._parts = session.parts
        self._threads = session.settings.threads
        self._places = PlanPlaces(plan)
        self._rule = _Rule.of(session, plan)
        self._stretches = Stretches()
        self._pts = array("q")
        self._kept: dict[int, PlanTrack] = {}
        self._faces: Recogniser | None = None
        if self._parts.recogniser is not None and self._rule.gallery.people:
            self._faces = Recogniser(self._parts.recogniser, self._rule.gallery, self._parts.scale)

    def run(self, result: Media, source: Media | None, progress: Progress) -> Verification | None:
        """Return the findings; None as soon as the search finds another pose."""
        after = open_source(result, threads=self._threads)
        before = None if source is None else open_source(source, threads=self._threads)
        base = after.info.time_base
        examiner = Examiner(self._parts.detector, self._places, self._poses, self._search, base)
        faults: list[Finding] = []
        frames = self._plan.source.frames
        try:
            for pair in read_pairs(after, before, frames):
                self._pts.append(pair.result.pts)
                seen = examiner.examine(pair.source, pair.result, is_image=after.info.is_image)
                if self._search.found:
                    return None
                self._add(pair.result.index, seen, examiner.frame)
                progress(STAGE, len(self._pts), frames)
        except OtherFrames as error:
            place = error.frame, error.frame, error.time, error.time
            faults.append(Finding("frames", *place, text=error.text))
        found = (*self._findings(FrameTimes(self._pts, base), after.info.duration), *faults)
        people = 0 if self._faces is None else len(self._rule.gallery.people)
        return Verification(len(self._pts), found, source is not None, people)

    def _add(self, index: int, seen: Sequence[Sighting], frame: Frame) -> None:
        """Add what was seen in a frame, and collect chips of what may be recognised."""
        visible = [sighting for sighting in seen if sighting.kind != "kept"]
        placed = self._stretches.add(index, visible)
        if self._faces is None:
            return
        shot = self._places.shot_of(index)
        for stretch, sighting in placed:
            self._faces.add(stretch, shot, sighting, frame)
        for sighting in seen:
            if sighting.kind == "kept" and sighting.track is not None:
                self._kept[sighting.track.id] = sighting.track
                self._faces.add(sighting.track.id, shot, sighting, frame)
        self._faces.embed_ended(index - REACH)

    def _findings(self, times: FrameTimes, duration: Fraction) -> Iterator[Finding]:
        """Yield the findings: first those of stretches, then kept tracks of listed people."""
        matches = {} if self._faces is None else self._faces.matches(self._plan)
        clock = _Clock(times, duration)
        for stretch in self._stretches.finish():
            yield from self._judge(stretch, matches, clock)
        for number, track in self._kept.items():
            match = matches.get(number)
            name = self._rule.listed(match)
            # If the plan names the person too, or a person has decided, it is kept on purpose.
            on_purpose = track.is_decided or name == track.person
            if match is not None and name is not None and not on_purpose:
                yield Finding(
                    "recognised",
                    *clock.place(track.first, track.last),
                    track=number,
                    person=name,
                    measure=match.similarity or 0.0,
                    rows=track.boxes,
                )

    def _judge(
        self, stretch: Stretch, matches: Mapping[object, Match | None], clock: "_Clock"
    ) -> Iterator[Finding]:
        """Yield the finding of a stretch, unless its face may be visible."""
        owner = stretch.track
        match = matches.get(stretch, Match(None, None, "unclear"))
        kind: Kind = "readable" if stretch.kind == "readable" else "unknown"
        person, measure = self._rule.listed(match), stretch.measure
        if kind == "unknown":
            if owner is None and person is None and not self._rule.hides(match):
                return
            if person is not None and match is not None:
                kind, measure = "recognised", match.similarity or 0.0
        yield Finding(
            kind,
            *clock.place(stretch.first, stretch.last),
            track=None if owner is None else owner.id,
            person=person,
            measure=measure,
            rows=stretch.rows,
        )


@dataclass(frozen=True, slots=True)
class _Clock:
    """Gives the times of frames."""

    times: FrameTimes
    duration: Fraction

    def place(self, first: int, last: int) -> tuple[int, int, Fraction, Fraction]:
        """Return two frames, the time of the first, and the time at which the last one ends."""
        known = len(self.times.pts)
        begin = self.times.time_of(min(first, known - 1))
        end = self.times.time_of(last + 1) if last + 1 < known else max(begin, self.duration)
        return first, last, begin, end
