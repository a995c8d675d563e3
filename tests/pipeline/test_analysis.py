"""The first pass over painted videos: boxes for every frame, with few frames in memory."""

import random
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import pytest

from app.config import Settings
from app.errors import MediaError, ModelError
from app.pipeline import analysis
from app.pipeline.analysis import Analysis, AnalysisResult
from app.pipeline.shot_analysis import MAX_LIGHT_PENALTY, light_penalty
from app.types import Boxes, Faces, Image
from tests.painted_faces import (
    BLUE,
    RED,
    Colour,
    ColourRecogniser,
    Painted,
    PaintedSource,
    Square,
    SquareDetector,
    paint,
    parts,
)

PAD = 3


def square(x: float, y: float = 80, side: float = 60) -> Square:
    return x, y, x + side, y + side


def video(*frames: dict[Square, Colour], level: int = 40) -> list[Image]:
    return [paint(squares, level=level) for squares in frames]


def walk(count: int, speed: int = 2, start: int = 20) -> list[dict[Square, Colour]]:
    """A red face that moves to the right."""
    return [{square(start + speed * n): RED} for n in range(count)]


def run(
    images: Sequence[Image],
    *,
    detector: SquareDetector | None = None,
    recogniser: ColourRecogniser | None = None,
    **settings: object,
) -> AnalysisResult:
    source = PaintedSource(images)
    chosen = Settings(**{"pad": PAD, **settings})
    whole = parts(detector or SquareDetector(), recogniser)
    return Analysis(whole, chosen, source.info).run(source, lambda *_: None)


def covers(boxes: Boxes, squares: Sequence[Square], slack: float = 2.5) -> bool:
    truth = np.asarray(squares, np.float32)
    low, high = boxes[:, :2] <= truth[:, :2] + slack, boxes[:, 2:] >= truth[:, 2:] - slack
    return bool(low.all() and high.all())


@pytest.mark.parametrize("sampling", ["adaptive", "every"])
def test_a_face_has_a_box_in_every_frame(sampling: str) -> None:
    script = walk(40)
    found = run(video(*script), sampling=sampling)
    (track,) = found.tracks
    assert (found.frames, found.shots) == (40, ((0, 40),))
    assert (track.shot, track.first, len(track.boxes), track.seen) == (0, 0, 40, (0, 39))
    assert covers(track.boxes, [next(iter(squares)) for squares in script])
    assert track.chips is None


def test_boxes_are_not_much_larger_than_faces() -> None:
    (track,) = run(video(*walk(40))).tracks
    extents = track.boxes[:, 2:] - track.boxes[:, :2]
    assert extents.max() < 60 + 2 * 5


@pytest.mark.parametrize("sampling", ["adaptive", "every"])
def test_a_face_that_comes_and_goes_is_padded(sampling: str) -> None:
    face: dict[Square, Colour] = {square(100): RED}
    script = [face if 17 <= n < 34 else {} for n in range(60)]
    (track,) = run(video(*script), sampling=sampling).tracks
    assert track.seen == (17, 33)
    assert (track.first, len(track.boxes)) == (17 - PAD, 17 + 2 * PAD)


def test_shots_are_kept_apart() -> None:
    here: dict[Square, Colour] = {square(40): RED}
    there: dict[Square, Colour] = {square(200): RED}
    found = run(video(*[here] * 20) + video(*[there] * 25, level=220))
    assert found.shots == ((0, 20), (20, 45))
    assert [(t.shot, t.first, len(t.boxes)) for t in found.tracks] == [(0, 0, 20), (1, 20, 25)]


def test_padding_does_not_cross_a_cut() -> None:
    face: dict[Square, Colour] = {square(100): RED}
    first = [face if n < 18 else {} for n in range(20)]
    second = [face if n >= 2 else {} for n in range(25)]
    found = run(video(*first) + video(*second, level=220), sampling="every")
    assert [(t.shot, t.first, len(t.boxes)) for t in found.tracks if t.remainder_of is None] == [
        (0, 0, 20),
        (1, 20, 25),
    ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_video_of_few_frames(count: int) -> None:
    (track,) = run(video(*walk(count))).tracks
    assert (track.first, len(track.boxes)) == (0, count)


def test_a_face_of_one_frame_between_two_cuts_is_seen() -> None:
    face: dict[Square, Colour] = {square(100): RED}
    found = run(video(*[{}] * 20) + video(face, level=220) + video(*[{}] * 20, level=100))
    assert [(t.first, t.seen) for t in found.tracks] == [(20, (20, 20))]


def test_without_shot_detection_there_is_one_shot() -> None:
    assert run(video(*[{}] * 9) + video(*[{}] * 9, level=220), shots="none").shots == ((0, 18),)


def test_without_faces_there_are_no_tracks() -> None:
    assert run(video(*[{}] * 30)).tracks == ()


def test_a_tracklet_with_low_scores_only_is_dropped() -> None:
    assert run(video(*walk(30)), detector=SquareDetector(score=0.3)).tracks == ()


def test_a_video_without_frames_is_an_error() -> None:
    with pytest.raises(MediaError, match="no frames"):
        run([])


class TestLostFaces:
    @staticmethod
    def script(after: Colour = RED) -> list[Image]:
        """A face that is absent for six frames, then a face in its place."""
        return video(*[{square(100): RED}] * 20, *[{}] * 6, *[{square(110): after}] * 20)

    def test_a_short_loss_is_bridged(self) -> None:
        (track,) = run(self.script()).tracks
        assert (track.first, len(track.boxes), track.seen) == (0, 46, (0, 45))
        assert covers(track.boxes, [square(100)] * 20 + [square(105)] * 6 + [square(110)] * 20, 6)

    def test_a_short_loss_is_bridged_with_a_recogniser(self) -> None:
        assert len(run(self.script(), recogniser=ColourRecogniser()).tracks) == 1

    def test_another_person_in_the_place_is_another_track(self) -> None:
        found = run(self.script(BLUE), recogniser=ColourRecogniser())
        assert [t.seen for t in found.tracks if t.remainder_of is None] == [(0, 19), (26, 45)]


@pytest.mark.parametrize(
    ("one", "other", "against"), [(0.4, 0.4, 0.0), (0.4, 0.2, 0.69), (0.02, 0.4, MAX_LIGHT_PENALTY)]
)
def test_a_change_of_light_counts_against_one_person(
    one: float, other: float, against: float
) -> None:
    assert (
        light_penalty(one, other) == light_penalty(other, one) == pytest.approx(against, abs=0.01)
    )


def test_chips_of_a_track_show_its_person() -> None:
    script = [{square(20 + n): RED, square(200 - n): BLUE} for n in range(40)]
    found = run(video(*script), recogniser=ColourRecogniser())
    colours = {}
    for track in found.tracks:
        assert track.chips is not None
        assert len(track.chips.qualities) > 0
        colours[int(track.boxes[0, 0] > 100)] = int(track.chips.embeddings[0].argmax())
    assert colours == {0: 0, 1: 2}


def test_adaptive_sampling_needs_few_looks() -> None:
    images = video(*walk(80, speed=1))
    costs = {}
    for sampling in ("adaptive", "every"):
        detector = SquareDetector()
        run(images, detector=detector, sampling=sampling)
        costs[sampling] = sum(width * height for width, height in detector.inputs)
    assert costs["adaptive"] < costs["every"] / 3


@dataclass
class Watched(PaintedSource):
    """Counts how many of its frames are in memory at a time."""

    most: int = 0
    alive: "weakref.WeakSet[Painted]" = field(default_factory=weakref.WeakSet)

    def __iter__(self) -> Iterator[Painted]:
        for index, image in enumerate(self.images):
            frame = _Weak(index, image, pts=index)
            self.alive.add(frame)
            self.most = max(self.most, len(self.alive))
            yield frame
            del frame


class _Weak(Painted):
    __hash__ = object.__hash__


def held(images: Sequence[Image]) -> int:
    source = Watched(images)
    Analysis(parts(SquareDetector()), Settings(), source.info).run(source, lambda *_: None)
    return source.most


def test_frames_in_memory_do_not_grow_with_the_video() -> None:
    short, long = held(video(*[{square(100): RED}] * 40)), held(video(*[{square(100): RED}] * 160))
    # Twice 0.4 seconds at 25 frames per second: one interval is followed, the next one is read.
    # Besides, the latency of the cuts, and the next frame.
    assert max(short, long) <= 2 * 10 + 3


def test_large_frames_make_short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "INTERVAL_BYTES", 4 * 320 * 240 * 3)
    assert held(video(*[{square(100): RED}] * 40)) <= 2 * 4 + 3


def test_progress_is_reported_for_every_frame() -> None:
    source = PaintedSource(video(*[{}] * 12))
    reports: list[tuple[str, int, int | None]] = []
    chosen = Analysis(parts(SquareDetector()), Settings(), source.info)
    chosen.run(source, lambda *args: reports.append(args))
    assert reports == [("analyse", n, 12) for n in range(1, 13)]


@dataclass
class Anamorphic(PaintedSource):
    """Pixels are three times as wide as high in the first frames, and square afterwards."""

    wide: int = 20

    def __iter__(self) -> Iterator[Painted]:
        for frame in super().__iter__():
            aspect = Fraction(3 if frame.index < self.wide else 1)
            yield replace(frame, pixel_aspect=aspect)


def test_a_change_of_the_pixel_aspect_is_a_cut() -> None:
    source, detector = Anamorphic(video(*[{square(100): RED}] * 40)), SquareDetector()
    chosen = Settings(shots="none", pad=0)
    found = Analysis(parts(detector), chosen, source.info).run(source, lambda *_: None)
    assert found.shots == ((0, 20), (20, 40))
    own = [track for track in found.tracks if track.remainder_of is None]
    assert [(t.shot, t.first, len(t.boxes)) for t in own] == [(0, 0, 20), (1, 20, 20)]
    for track in found.tracks:
        np.testing.assert_allclose(track.boxes, [square(100)] * 20, atol=1.5)
    assert {(960, 240), (320, 240)} <= set(detector.inputs)


class UpsideDown(SquareDetector):
    """Finds faces only if their upper half is brighter than the lower one."""

    def _one(self, image: Image) -> Faces:
        faces = super()._one(image)
        return faces.take([n for n, box in enumerate(faces.boxes) if self._is_upright(image, box)])

    @staticmethod
    def _is_upright(image: Image, box: Boxes) -> bool:
        x1, y1, x2, y2 = np.rint(box).astype(int)
        face = image[max(y1, 0) : y2, max(x1, 0) : x2].astype(float)
        middle = len(face) // 2
        return bool(face[:middle].mean() > 1.1 * face[middle:].mean())


def test_faces_that_are_found_late_on_their_head_are_followed_from_their_beginning() -> None:
    empty, shown = paint({}), paint({square(100): RED})
    shown[80:110, 100:160] = shown[80:110, 100:160] * 0.8
    source = PaintedSource([empty] * 15 + [shown] * 45)
    chosen = Settings(shots="none", pad=0)
    found = Analysis(parts(UpsideDown()), chosen, source.info).run(source, lambda *_: None)
    (track,) = found.tracks
    assert (track.first, len(track.boxes)) == (15, 45)
    np.testing.assert_allclose(track.boxes, [square(100)] * 45, atol=1.5)


@dataclass
class Broken(PaintedSource):
    def __iter__(self) -> Iterator[Painted]:
        yield from list(super().__iter__())[:5]
        raise MediaError("frame 5 cannot be decoded")


def test_a_frame_that_cannot_be_decoded_is_an_error() -> None:
    source = Broken(video(*walk(10)))
    with pytest.raises(MediaError, match="frame 5"):
        Analysis(parts(SquareDetector()), Settings(), source.info).run(source, lambda *_: None)


class Slow(SquareDetector):
    """Takes a random time for each look, so that the threads meet in ever other ways."""

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        time.sleep(random.random() / 200)
        return super().detect(images)


def test_the_result_does_not_depend_on_the_speed_of_the_threads() -> None:
    script = [{square(20 + 2 * n): RED, square(250 - n, 20): BLUE} for n in range(40)]
    images = video(*script) + video(*walk(35), level=220) + video(*[{}] * 9, level=100)
    first, *others = (run(images, detector=Slow(), recogniser=ColourRecogniser()) for _ in range(4))
    for other in others:
        assert (first.shots, len(first.tracks)) == (other.shots, len(other.tracks))
        for one, two in zip(first.tracks, other.tracks, strict=True):
            assert (one.first, one.seen) == (two.first, two.seen)
            np.testing.assert_array_equal(one.boxes, two.boxes)


class Failing(SquareDetector):
    """Fails at its tenth call, in whatever thread that is."""

    calls = 0

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        self.calls += 1
        if self.calls >= 10:
            raise ModelError("the detector failed")
        return super().detect(images)


@pytest.mark.parametrize("sampling", ["adaptive", "every"])
def test_a_detector_that_fails_ends_the_run(sampling: str) -> None:
    before = threading.active_count()
    with pytest.raises(ModelError, match="the detector failed"):
        run(video(*walk(60)), detector=Failing(), sampling=sampling)
    assert threading.active_count() == before


def test_an_interruption_ends_all_threads() -> None:
    def interrupt(_stage: str, done: int, _total: int | None) -> None:
        if done == 30:
            raise KeyboardInterrupt

    before = threading.active_count()
    source = PaintedSource(video(*walk(60)))
    with pytest.raises(KeyboardInterrupt):
        Analysis(parts(SquareDetector()), Settings(), source.info).run(source, interrupt)
    assert threading.active_count() == before


class Counting(SquareDetector):
    """Notes how many threads are in it at a time."""

    is_reentrant = False
    inside = most = 0

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.003)
        try:
            return super().detect(images)
        finally:
            self.inside -= 1


def test_only_a_reentrant_detector_is_called_by_two_threads_at_a_time() -> None:
    script = [{square(20 + 5 * (n % 20)): RED} for n in range(60)]
    counting, reentrant = Counting(), Counting()
    reentrant.is_reentrant = True
    run(video(*script), detector=counting)
    run(video(*script), detector=reentrant)
    assert (counting.most, reentrant.most) == (1, 2)
