"""Chips: which ones are kept, how they are cut, and their quality."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from app.identity.evidence import FLAWS
from app.pipeline.chips import (
    MAX_CHIPS,
    MAX_WAITING,
    MIN_FRAME_GAP,
    ChipCollector,
    cut_chip,
    expected_quality,
)
from app.tracking.observations import Observation, Tracklet
from app.types import Boxes, Frame
from tests.painted_faces import BLUE, GREEN, RED, ColourRecogniser, Painted, landmarks_of, paint

FACE = (100, 80, 160, 140)
BOX = np.asarray(FACE, np.float32)


def seen(frame: int, score: float = 0.9, box: Boxes = BOX) -> Observation:
    return Observation(frame, box, score, landmarks_of(box))


def frames(numbers: Sequence[int]) -> dict[int, Frame]:
    image = paint({FACE: RED})
    return {n: Painted(n, image) for n in numbers}


def collector(numbers: Sequence[int]) -> ChipCollector:
    return ChipCollector(ColourRecogniser(), frames(numbers))


def kept(chips: ChipCollector, tracklet: Tracklet) -> list[int]:
    return sorted(chip.observation.frame for chip in chips.chips_of(tracklet))


class TestCollector:
    def test_chips_of_a_track_are_few_and_not_neighbours(self) -> None:
        tracklet = Tracklet([seen(n, 0.5 + (n * 37 % 50) / 100) for n in range(200)])
        chips = collector(range(200))
        chips.add(tracklet, -1)
        assert len(kept(chips, tracklet)) == MAX_CHIPS
        assert all(b - a >= MIN_FRAME_GAP for a, b in pairwise(kept(chips, tracklet)))

    def test_the_best_chips_are_kept_best_first(self) -> None:
        scores = {n: 0.5 + n / 1000 for n in range(0, 200, 10)}
        tracklet = Tracklet([seen(n, score) for n, score in scores.items()])
        chips = collector([*scores])
        chips.add(tracklet, -1)
        assert [chip.observation.frame for chip in chips.chips_of(tracklet)] == [
            *range(190, 130, -10)
        ]

    def test_of_neighbours_the_better_one_is_kept(self) -> None:
        tracklet = Tracklet([seen(0, 0.5), seen(1, 0.8), seen(2, 0.6)])
        chips = collector(range(3))
        chips.add(tracklet, -1)
        assert kept(chips, tracklet) == [1]

    def test_a_better_chip_replaces_the_worst_one(self) -> None:
        tracklet = Tracklet([seen(n, 0.6 - n / 1000) for n in range(0, 60, 10)])
        chips = collector(range(100))
        chips.add(tracklet, -1)
        tracklet.observations += [seen(70, 0.5), seen(80, 0.9)]
        chips.add(tracklet, 60)
        assert kept(chips, tracklet) == [0, 10, 20, 30, 40, 80]

    def test_frames_no_longer_in_memory_are_not_used(self) -> None:
        tracklet = Tracklet([seen(n) for n in range(0, 40, 10)])
        chips = collector([30])
        chips.add(tracklet, 20)
        assert kept(chips, tracklet) == [30]

    def test_a_face_outside_the_frame_has_no_chip(self) -> None:
        outside = np.asarray([-90, 0, -30, 60], np.float32)
        tracklet = Tracklet([seen(0, box=outside)])
        chips = collector([0])
        chips.add(tracklet, -1)
        (embedded,) = chips.embed([tracklet])
        assert embedded.embeddings.shape == (0, 3)
        assert len(embedded.qualities) == len(embedded.sizes) == 0

    def test_each_chip_is_embedded_once(self) -> None:
        recogniser = ColourRecogniser()
        chips = ChipCollector(recogniser, frames(range(50)))
        one, other = Tracklet([seen(0), seen(10)]), Tracklet([seen(30)])
        chips.add(one, -1)
        chips.add(other, -1)
        chips.embed([one, other])
        chips.embed([other])
        assert recogniser.embedded == 3

    def test_many_chips_of_ended_tracklets_are_embedded_early(self) -> None:
        """So their images need not stay in memory until the end of the shot."""
        recogniser = ColourRecogniser()
        chips = ChipCollector(recogniser, frames(range(2000)))
        tracklets = [Tracklet([seen(n), seen(n + 10)]) for n in range(0, 1800, 12)]
        for tracklet in tracklets:
            chips.add(tracklet, tracklet.first - 1)
            chips.embed_ended(tracklet.last)
        early = recogniser.embedded
        assert MAX_WAITING <= early < 2 * len(tracklets)
        assert sum(c.image is not None for t in tracklets for c in chips.chips_of(t)) <= MAX_WAITING
        rows = chips.embed(tracklets)
        assert recogniser.embedded == 2 * len(tracklets)
        assert all(len(row.embeddings) == 2 for row in rows)

    def test_chips_of_a_growing_tracklet_are_not_embedded_early(self) -> None:
        chips = collector(range(4000))
        tracklet = Tracklet([seen(0, 0.6)])
        chips.add(tracklet, -1)
        for n in range(12, 3600, 12):
            other = Tracklet([seen(n + 1)])
            tracklet.observations.append(seen(n, 0.6 + n / 10**5))
            chips.add(tracklet, n - 1)
            chips.add(other, n)
            chips.embed_ended(n)
        assert len(kept(chips, tracklet)) == MAX_CHIPS
        assert min(kept(chips, tracklet)) == 3588 - 12 * (MAX_CHIPS - 1)

    def test_joined_tracklets_share_their_chips_and_keep_the_best(self) -> None:
        chips = collector(range(200))
        halves = [
            Tracklet([seen(n, 0.5 + n / 1000) for n in range(a, a + 60, 10)]) for a in (0, 100)
        ]
        for half in halves:
            chips.add(half, -1)
        (embedded,) = chips.embed([Tracklet(halves[0].observations + halves[1].observations)])
        assert len(embedded.qualities) == MAX_CHIPS

    def test_the_embedding_is_that_of_the_face(self) -> None:
        image = paint({FACE: RED, (200, 80, 260, 140): BLUE})
        chips = ChipCollector(ColourRecogniser(), {0: Painted(0, image)})
        moved = np.asarray((200, 80, 260, 140), np.float32)
        tracklets = [Tracklet([seen(0)]), Tracklet([seen(0, box=moved)])]
        for tracklet in tracklets:
            chips.add(tracklet, -1)
        red, blue = chips.embed(tracklets)
        assert red.embeddings[0, 0] > 0.98
        assert blue.embeddings[0, 2] > 0.98
        assert red.sizes.tolist() == [60]
        assert red.qualities[0] > 0.5


@pytest.mark.parametrize("side", [24, 60, 200, 300])
def test_a_chip_has_its_landmarks_on_the_template(side: int) -> None:
    box = np.asarray([250, 200, 250 + side, 200 + side], np.float32)
    image = paint({}, (800, 700), level=200)
    dot = max(2, side // 16)
    colours = (RED, GREEN, BLUE, RED, GREEN)
    for (x, y), colour in zip(landmarks_of(box).round().astype(int), colours, strict=True):
        image[y - dot : y + dot + 1, x - dot : x + dot + 1] = colour
    recogniser = ColourRecogniser()
    chip = cut_chip(Painted(0, image), seen(0, box=box), recogniser)
    assert chip.image is not None
    assert chip.image.shape == (48, 48, 3)
    for (x, y), colour in zip(recogniser.template.round().astype(int), colours, strict=True):
        assert chip.image[y, x].argmax() == np.argmax(colour)
        assert int(chip.image[y, x].max()) - int(chip.image[y, x].min()) > 60


def test_a_flat_chip_has_no_quality() -> None:
    chip = cut_chip(Painted(0, paint({})), seen(0), ColourRecogniser())
    assert (chip.quality, chip.image) == (0, None)
    assert chip.flaw in FLAWS


def test_a_face_cut_off_by_the_border_has_lower_quality() -> None:
    image = paint({FACE: RED})
    x1, y1, x2, y2 = BOX
    half = np.asarray([(x1 - x2) / 2, y1, (x2 - x1) / 2, y2], np.float32)
    whole, cut_off = (
        cut_chip(Painted(0, image), seen(0, box=b), ColourRecogniser()) for b in (BOX, half)
    )
    assert cut_off.quality < whole.quality
    assert cut_off.flaw == "cut off by the border"


def test_the_flaw_of_a_tracklet_is_that_of_its_best_chip() -> None:
    chips = collector(range(40))
    tracklet = Tracklet([seen(0, 0.26), seen(10, 0.2)])
    chips.add(tracklet, -1)
    (embedded,) = chips.embed([tracklet])
    assert embedded.flaw == "barely detected"
    assert embedded.frames.tolist() == [0, 10]


def test_expected_quality_depends_on_score_size_and_frontality() -> None:
    small = np.asarray([0, 0, 30, 30], np.float32)
    profile = landmarks_of(BOX).copy()
    profile[2] = profile[0]
    assert expected_quality(seen(0, 0.9)) > expected_quality(seen(0, 0.8))
    assert expected_quality(seen(0)) > expected_quality(seen(0, box=small))
    assert expected_quality(seen(0)) > expected_quality(Observation(0, BOX, 0.9, profile)) > 0
    assert expected_quality(seen(0)) == pytest.approx(
        expected_quality(seen(0, box=np.asarray(BOX * 3, np.float32)))
    )
