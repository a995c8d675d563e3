"""First pass: follow every face through every shot, with the frames of one stretch in memory."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from app.config import Settings
from app.errors import MediaError
from app.identity.evidence import alike
from app.pipeline.chips import ChipCollector, Embedded
from app.pipeline.face_looker import PictureLooker
from app.pipeline.parts import Parts
from app.shots import load_shot_detector
from app.tracking.dissolves import Lingerer
from app.tracking.handover import rooms
from app.tracking.interpolation import interpolate, pad, smooth, sweep
from app.tracking.look_schedule import SAMPLERS
from app.tracking.observations import Trail, boxes_of
from app.tracking.sampling import NEW_FACE
from app.tracking.stitching import PATIENCE, stitch
from app.tracking.tracker import ShotTracker
from app.types import Boxes, Frame, FrameSource, MediaInfo, Progress

STRETCH_BYTES = 128 * 2**20
"""Room for the frames of a stretch: it is cut short where large pictures would need more."""


MOST_LIGHT = 1.0
"""A change of light by a factor of e and more speaks against one person as much as a distance of
one face does, and does not forbid it: lights are switched on and off."""


@dataclass(frozen=True, slots=True)
class FoundTrack:
    """A face through a shot: a box for every frame from ``first`` on, padding included.

    It was seen in frames ``seen`` (first and last, inclusive); ``chips`` is None where nobody
    has to be told apart. ``follows`` is the number of the track that it is a remainder of, after a
    cut.
    """

    shot: int
    first: int
    boxes: Boxes
    seen: tuple[int, int]
    chips: Embedded | None
    follows: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """All of a video: its number of frames, shots [first, end), and tracks.

    ``patience`` is the number of frames for which a lost face may come back.
    """

    frames: int
    shots: tuple[tuple[int, int], ...]
    tracks: tuple[FoundTrack, ...]
    patience: int = 1


class Analysis:
    """One run over one source; used once."""

    def __init__(self, parts: Parts, settings: Settings, info: MediaInfo) -> None:
        self._settings = settings
        self._frames: dict[int, Frame] = {}
        self._looker = PictureLooker(parts.detector, self._frames)
        self._recogniser = parts.recogniser
        self._scale = parts.scale
        self._shot_detector = (
            parts.shots()
            if parts.shots
            else load_shot_detector(
                settings.shots,
                models_root=settings.models_root,
                threads=settings.threads,
                device=settings.device,
            )
        )
        longest = Fraction(settings.look_every).limit_denominator(1000)
        self._cadence = SAMPLERS[settings.sampling](longest, info.time_base)
        self._patience = max(1, round(PATIENCE * info.rate))
        self._stretch = max(2, STRETCH_BYTES // (info.size[0] * info.size[1] * 3))
        self._tracker: ShotTracker | None = None
        self._chips: ChipCollector | None = None
        self._lingerer: Lingerer | None = None
        self._start = 0
        self._looked = 0
        self._cuts: set[int] = set()
        self._shots: list[tuple[int, int]] = []
        self._tracks: list[FoundTrack] = []

    def run(self, source: FrameSource, progress: Progress) -> Found:
        """Follow the faces of all frames.

        Raises:
            MediaError: a frame cannot be decoded, or there is none.
        """
        count, handled = 0, 0
        for frame in source:
            self._frames[frame.index] = frame
            self._cuts.update(self._shot_detector.push(frame))
            count = frame.index + 1
            while handled < count - self._shot_detector.latency:
                self._handle(handled)
                handled += 1
            progress("analyse", count, source.info.frames)
        self._cuts.update(self._shot_detector.flush())
        for index in range(handled, count):
            self._handle(index)
        if not count:
            raise MediaError("there is no frame in the video")
        self._end_shot(count)
        return Found(count, tuple(self._shots), tuple(self._tracks), self._patience)

    def _handle(self, index: int) -> None:
        """A frame of which it is known whether a shot begins with it."""
        if index in self._cuts:
            self._end_shot(index)
        if self._lingerer is not None:
            self._lingerer.push(self._frames[index])
        if self._tracker is None:
            self._begin_shot(index)
        elif self._cadence.due(self._frames[index]) or index - self._looked >= self._stretch:
            self._look(index)

    def _begin_shot(self, index: int) -> None:
        self._start = self._looked = index
        if self._recogniser is not None:
            self._chips = ChipCollector(self._recogniser, self._frames)
        self._tracker = ShotTracker(self._looker, index, self._patience)
        self._collect(self._tracker.trails, index - 1)
        self._cadence.restart(self._frames[index])

    def _look(self, index: int) -> None:
        """Settle the stretch that ends with this frame, and forget the frames before it."""
        if self._tracker is not None:
            self._collect(self._tracker.advance(index), self._looked)
        self._looked = index
        self._cadence.restart(self._frames[index])
        for old in [i for i in self._frames if i < index]:
            del self._frames[old]

    def _collect(self, trails: list[Trail], since: int) -> None:
        if self._chips is not None:
            for trail in trails:
                self._chips.offer(trail, since)
            self._chips.settle(since)

    def _end_shot(self, end: int) -> None:
        """Close the shot [start, end): join its trails and keep them as tracks."""
        if self._tracker is None:
            return
        if self._looked < end - 1:
            self._look(end - 1)
        believed = [trail for trail in self._tracker.trails if trail.score >= NEW_FACE]
        trails = stitch(believed, self._patience, self._likeness)
        shot = (self._start, end)
        chips = [None] * len(trails) if self._chips is None else self._chips.embed(trails)
        self._end_lingering()
        for trail, room, embedded in zip(trails, rooms(trails, shot), chips, strict=True):
            self._tracks.append(self._track(trail, room, embedded))
        self._watch(len(self._tracks) - len(trails), end)
        self._shots.append(shot)
        self._tracker = None
        for old in [i for i in self._frames if i < end]:
            del self._frames[old]

    def _watch(self, first: int, end: int) -> None:
        """Watch the faces that were there at the end of the shot, from track ``first`` on."""
        alive = [
            number
            for number, track in enumerate(self._tracks[first:], first)
            if track.first + len(track.boxes) == end
        ]
        boxes = np.asarray([self._tracks[n].boxes[-1] for n in alive], np.float32).reshape(-1, 4)
        self._lingerer = Lingerer(self._frames[end - 1], alive, boxes, self._patience)

    def _end_lingering(self) -> None:
        """Keep what still showed of the previous shot's faces as tracks of this one."""
        if self._lingerer is None:
            return
        for face in self._lingerer.found:
            seen = (self._lingerer.first, face.last)
            boxes = np.repeat(face.box[None], face.last - self._lingerer.first + 1, axis=0)
            self._tracks.append(
                FoundTrack(len(self._shots), seen[0], boxes, seen, None, follows=face.track)
            )

    def _likeness(self, early: Trail, late: Trail) -> float | None:
        """How alike two trails are: see ``app.tracking.stitching``."""
        if self._chips is None:
            return None
        one, other = self._chips.embed([early, late])
        if not one.light or not other.light:
            return alike(one, other, self._scale)
        return (alike(one, other, self._scale) or 0.0) - _darkened(one.light, other.light)

    def _track(self, trail: Trail, room: tuple[int, int], chips: Embedded | None) -> FoundTrack:
        frames = np.asarray([o.frame for o in trail.observations], np.int64)
        boxes = interpolate(frames, smooth(frames, boxes_of(trail.observations)))
        first, padded = pad(trail.first, boxes, self._settings.pad, room)
        return FoundTrack(len(self._shots), first, sweep(padded), (trail.first, trail.last), chips)


def _darkened(one: float, other: float) -> float:
    """How much the light of two faces speaks against one person, 0 to ``MOST_LIGHT``."""
    return min(MOST_LIGHT, abs(math.log(one / other)))
