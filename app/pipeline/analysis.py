"""First pass: follow every face through every shot, with the frames of few intervals in memory.

Three threads share the work. This one reads frames, finds cuts and decides when to look; the second
follows the faces between the looks; the third one looks at whole frames ahead of it. When to look
depends on the frames alone, and each thread works in the order of the frames, so the result does
not depend on their speed.
"""

from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from app.config import Settings
from app.errors import MediaError
from app.networks import Runtime
from app.pipeline.beside import work_beside
from app.pipeline.face_looker import FaceLooker
from app.pipeline.frame_times import FrameTimes
from app.pipeline.parts import Parts
from app.pipeline.pose_search import PoseSearch
from app.pipeline.poses import ROTATIONS, Pose, Poses
from app.pipeline.shot_analysis import FaceTrack, ShotAnalysis, ShotContext
from app.pipeline.square_frames import squared, stored
from app.shots import load_shot_detector
from app.tracking.association import MAX_GAP_SECONDS
from app.tracking.dissolves import DissolveWatcher
from app.tracking.look_schedule import SCHEDULES
from app.types import Frame, FrameSource, MediaInfo, Progress, Size

INTERVAL_BYTES = 128 * 2**20
"""Memory for the frames between two full looks. Large frames make the interval shorter."""
_LOOKS_AHEAD = 1
"""Full looks that may be known before the faces are followed to the previous one: so the frames of
two intervals are in memory. With more, neither thread waits less (docs/decisions/speed.md)."""


@dataclass(frozen=True, slots=True)
class AnalysisResult:
    """The number of frames of a video, its shots [first, end) and its tracks.

    ``times`` has the times of the frames, and ``size`` is that of the upright frame. ``max_gap`` is
    the number of frames in which a lost face may return.
    """

    frames: int
    shots: tuple[tuple[int, int], ...]
    tracks: tuple[FaceTrack, ...]
    times: FrameTimes
    size: Size
    max_gap: int = 1


class Analysis:
    """Analyse one source."""

    def __init__(self, parts: Parts, settings: Settings, info: MediaInfo) -> None:
        self._parts, self._settings, self._info = parts, settings, info

    def run(self, source: FrameSource, progress: Progress) -> AnalysisResult:
        """Follow the faces through all frames; begin again if they lie on their side.

        Raises:
            MediaError: a frame cannot be decoded, or the video has no frames.
        """
        poses = ROTATIONS[self._settings.rotate]
        turns = range(1, 4) if self._settings.rotate == "auto" else ()
        while True:
            others = tuple(pose for turn in turns if (pose := Pose(turn)) not in poses)
            search = PoseSearch(others)
            one = _Pass(self._parts, self._settings, self._info, poses, search)
            result = one.run(source, progress)
            if result is not None:
                return result
            poses += search.found


@dataclass(frozen=True, slots=True)
class _Step:
    """A frame: whether it begins a shot, and whether it gets a full look."""

    index: int
    begins_shot: bool
    look: bool


class _Pass:
    """Analyse one source once, with the same poses for all frames."""

    def __init__(
        self,
        parts: Parts,
        settings: Settings,
        info: MediaInfo,
        poses: Poses,
        search: PoseSearch,
    ) -> None:
        frames: dict[int, Frame] = {}
        longest = Fraction(settings.look_every).limit_denominator(1000)
        self._search, self._info = search, info
        self._executor = ThreadPoolExecutor(1, "look-ahead")
        self._schedule = SCHEDULES[settings.sampling](longest, info.time_base)
        self._max_interval = max(2, INTERVAL_BYTES // (info.size[0] * info.size[1] * 3))
        self._looker = FaceLooker(
            parts.detector, frames, poses, search, info.time_base, executor=self._executor
        )
        self._context = ShotContext(
            looker=self._looker,
            frames=frames,
            recogniser=parts.recogniser,
            scale=parts.scale,
            max_gap=max(1, round(MAX_GAP_SECONDS * info.rate)),
            padding=settings.pad,
        )
        if parts.shots is not None:
            self._shot_detector = parts.shots()
        else:
            self._shot_detector = load_shot_detector(
                settings.shots,
                models_root=settings.models_root,
                runtime=Runtime(settings.threads, settings.device),
            )
        self._shots: list[tuple[int, int]] = []
        self._tracks: list[FaceTrack] = []
        self._pts = array("q")

    def run(self, source: FrameSource, progress: Progress) -> AnalysisResult | None:
        """Follow the faces through all frames; None as soon as the search finds another pose.

        Raises:
            MediaError: a frame cannot be decoded, or the video has no frames.
        """
        steps = ((step, int(step.look)) for step in self._steps(source, progress))
        try:
            frames = work_beside(steps, self._follow, limit=_LOOKS_AHEAD)
        finally:
            self._executor.shutdown(cancel_futures=True)
        if frames is None:
            return None
        return AnalysisResult(
            frames=frames,
            shots=tuple(self._shots),
            tracks=tuple(self._tracks),
            times=FrameTimes(self._pts, self._info.time_base),
            size=self._info.size,
            max_gap=self._context.max_gap,
        )

    def _steps(self, source: FrameSource, progress: Progress) -> Iterator[_Step]:
        """Yield the steps for all frames, and begin their full looks."""
        last_look, count = -1, 0
        for index, is_cut in self._frames_with_cuts(source, progress):
            frame, count = self._context.frames[index], index + 1
            begins_shot = is_cut or index == 0
            if begins_shot and last_look < index - 1:
                self._looker.prepare(index - 1)  # the last frame of the shot before
            too_long = index - last_look >= self._max_interval
            look = begins_shot or self._schedule.due(frame) or too_long
            if look:
                self._looker.prepare(index)
                self._schedule.restart(frame)
                last_look = index
            yield _Step(index, begins_shot, look)
        if not count:
            raise MediaError("the video has no frames")

    def _follow(self, steps: Iterator[_Step]) -> int | None:
        """Follow the faces; return the number of frames, None if the search finds another pose."""
        shot, index = None, 0
        for step in steps:
            index = step.index
            if shot is None:
                shot = self._first_shot()
            elif step.begins_shot:
                shot = self._next_shot(shot, index)
            else:
                shot.advance(index, look=step.look)
            if self._search.found:
                return None
        assert shot is not None, "the first step begins a shot"
        self._finish(shot, index + 1)
        return None if self._search.found else index + 1

    def _frames_with_cuts(
        self, source: FrameSource, progress: Progress
    ) -> Iterator[tuple[int, bool]]:
        """Load frames; yield each index, and whether a shot begins there, once this is known."""
        cuts: set[int] = set()
        count, done = 0, 0
        size = None
        for frame in source:
            # Players show the stored pixels of an image, and the shape that a video asks for.
            view = frame if self._info.is_image else squared(frame)
            self._context.frames[frame.index] = view
            self._pts.append(frame.pts)
            cuts.update(self._shot_detector.push(frame))
            if size not in {None, view.size}:
                cuts.add(frame.index)
            size, count = view.size, frame.index + 1
            while done < count - self._shot_detector.latency:
                yield done, done in cuts
                done += 1
            progress("analyse", count, source.info.frames)
        cuts.update(self._shot_detector.flush())
        for index in range(done, count):
            yield index, index in cuts

    def _first_shot(self) -> ShotAnalysis:
        no_boxes = np.zeros((0, 4), np.float32)
        watcher = DissolveWatcher(stored(self._context.frames[0]), (), no_boxes, 0)
        return ShotAnalysis(self._context, 0, 0, watcher)

    def _next_shot(self, shot: ShotAnalysis, cut: int) -> ShotAnalysis:
        watcher = self._finish(shot, cut)
        return ShotAnalysis(self._context, len(self._shots), cut, watcher)

    def _finish(self, shot: ShotAnalysis, end: int) -> DissolveWatcher:
        """Keep the tracks of a shot that ends before frame ``end``; return its watcher."""
        tracks, watcher = shot.finish(end, len(self._tracks))
        self._tracks += tracks
        self._shots.append((shot.first, end))
        self._context.forget_frames_before(end)
        return watcher
