"""Which chips of a track are kept, how they are cut, and what they are worth."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from app.identity.quality import FLAWS
from app.pipeline.chips import APART, MOST, WAITING, ChipCollector, cut, rank
from app.tracking.observations import Observation, Trail
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


def kept(chips: ChipCollector, trail: Trail) -> list[int]:
    return sorted(chip.observation.frame for chip in chips.of(trail))


class TestCollector:
    def test_chips_of_a_track_are_few_and_apart(self) -> None:
        trail = Trail([seen(n, 0.5 + (n * 37 % 50) / 100) for n in range(200)])
        chips = collector(range(200))
        chips.offer(trail, -1)
        assert len(kept(chips, trail)) == MOST
        assert all(b - a >= APART for a, b in pairwise(kept(chips, trail)))

    def test_the_best_chips_are_kept_best_first(self) -> None:
        scores = {n: 0.5 + n / 1000 for n in range(0, 200, 10)}
        trail = Trail([seen(n, score) for n, score in scores.items()])
        chips = collector([*scores])
        chips.offer(trail, -1)
        assert [chip.observation.frame for chip in chips.of(trail)] == [*range(190, 130, -10)]

    def test_of_neighbours_the_better_one_is_taken(self) -> None:
        trail = Trail([seen(0, 0.5), seen(1, 0.8), seen(2, 0.6)])
        chips = collector(range(3))
        chips.offer(trail, -1)
        assert kept(chips, trail) == [1]

    def test_a_later_better_chip_takes_the_place_of_the_worst(self) -> None:
        trail = Trail([seen(n, 0.6 - n / 1000) for n in range(0, 60, 10)])
        chips = collector(range(100))
        chips.offer(trail, -1)
        trail.observations += [seen(70, 0.5), seen(80, 0.9)]
        chips.offer(trail, 60)
        assert kept(chips, trail) == [0, 10, 20, 30, 40, 80]

    def test_frames_that_are_gone_are_not_asked_for(self) -> None:
        trail = Trail([seen(n) for n in range(0, 40, 10)])
        chips = collector([30])
        chips.offer(trail, 20)
        assert kept(chips, trail) == [30]

    def test_a_face_outside_the_picture_has_no_chip(self) -> None:
        outside = np.asarray([-90, 0, -30, 60], np.float32)
        trail = Trail([seen(0, box=outside)])
        chips = collector([0])
        chips.offer(trail, -1)
        (embedded,) = chips.embed([trail])
        assert embedded.embeddings.shape == (0, 3)
        assert len(embedded.qualities) == len(embedded.sizes) == 0

    def test_each_chip_is_embedded_once(self) -> None:
        recogniser = ColourRecogniser()
        chips = ChipCollector(recogniser, frames(range(50)))
        one, other = Trail([seen(0), seen(10)]), Trail([seen(30)])
        chips.offer(one, -1)
        chips.offer(other, -1)
        chips.embed([one, other])
        chips.embed([other])
        assert recogniser.embedded == 3

    def test_chips_of_ended_trails_are_embedded_once_they_are_many(self) -> None:
        """So that their pictures need not be kept for as long as the shot lasts."""
        recogniser = ColourRecogniser()
        chips = ChipCollector(recogniser, frames(range(2000)))
        trails = [Trail([seen(n), seen(n + 10)]) for n in range(0, 1800, 12)]
        for trail in trails:
            chips.offer(trail, trail.first - 1)
            chips.settle(trail.last)
        early = recogniser.embedded
        assert WAITING <= early < 2 * len(trails)
        assert sum(c.image is not None for t in trails for c in chips.of(t)) <= WAITING
        rows = chips.embed(trails)
        assert recogniser.embedded == 2 * len(trails)
        assert all(len(row.embeddings) == 2 for row in rows)

    def test_a_trail_that_goes_on_is_not_settled(self) -> None:
        chips = collector(range(4000))
        trail = Trail([seen(0, 0.6)])
        chips.offer(trail, -1)
        for n in range(12, 3600, 12):
            other = Trail([seen(n + 1)])
            trail.observations.append(seen(n, 0.6 + n / 10**5))
            chips.offer(trail, n - 1)
            chips.offer(other, n)
            chips.settle(n)
        assert len(kept(chips, trail)) == MOST
        assert min(kept(chips, trail)) == 3588 - 12 * (MOST - 1)

    def test_joined_trails_share_their_chips_and_keep_the_best(self) -> None:
        chips = collector(range(200))
        halves = [Trail([seen(n, 0.5 + n / 1000) for n in range(a, a + 60, 10)]) for a in (0, 100)]
        for half in halves:
            chips.offer(half, -1)
        (embedded,) = chips.embed([Trail(halves[0].observations + halves[1].observations)])
        assert len(embedded.qualities) == MOST

    def test_what_is_embedded_is_the_face(self) -> None:
        image = paint({FACE: RED, (200, 80, 260, 140): BLUE})
        chips = ChipCollector(ColourRecogniser(), {0: Painted(0, image)})
        moved = np.asarray((200, 80, 260, 140), np.float32)
        trails = [Trail([seen(0)]), Trail([seen(0, box=moved)])]
        for trail in trails:
            chips.offer(trail, -1)
        red, blue = chips.embed(trails)
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
    chip = cut(Painted(0, image), seen(0, box=box), recogniser)
    assert chip.image is not None
    assert chip.image.shape == (48, 48, 3)
    for (x, y), colour in zip(recogniser.template.round().astype(int), colours, strict=True):
        assert chip.image[y, x].argmax() == np.argmax(colour)
        assert int(chip.image[y, x].max()) - int(chip.image[y, x].min()) > 60


def test_in_a_flat_chip_nobody_can_be_recognised() -> None:
    chip = cut(Painted(0, paint({})), seen(0), ColourRecogniser())
    assert (chip.quality, chip.image) == (0, None)
    assert chip.flaw in FLAWS


def test_a_face_that_the_border_cuts_is_worth_less() -> None:
    image = paint({FACE: RED})
    x1, y1, x2, y2 = BOX
    half = np.asarray([(x1 - x2) / 2, y1, (x2 - x1) / 2, y2], np.float32)
    whole, cut_off = (
        cut(Painted(0, image), seen(0, box=b), ColourRecogniser()) for b in (BOX, half)
    )
    assert cut_off.quality < whole.quality
    assert cut_off.flaw == "cut off by the border"


def test_the_flaw_of_a_trail_is_that_of_its_best_chip() -> None:
    chips = collector(range(40))
    trail = Trail([seen(0, 0.26), seen(10, 0.2)])
    chips.offer(trail, -1)
    (embedded,) = chips.embed([trail])
    assert embedded.flaw == "hardly found"
    assert embedded.frames.tolist() == [0, 10]


def test_score_size_and_facing_make_the_rank() -> None:
    small = np.asarray([0, 0, 30, 30], np.float32)
    profile = landmarks_of(BOX).copy()
    profile[2] = profile[0]
    assert rank(seen(0, 0.9)) > rank(seen(0, 0.8))
    assert rank(seen(0)) > rank(seen(0, box=small))
    assert rank(seen(0)) > rank(Observation(0, BOX, 0.9, profile)) > 0
    assert rank(seen(0)) == pytest.approx(rank(seen(0, box=np.asarray(BOX * 3, np.float32))))
