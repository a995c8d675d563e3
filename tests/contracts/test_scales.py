"""The contract of scales: the same decisions with every recogniser, whatever its similarities.

Synthetic recognisers see the same world. It is given in strengths, the unit of a scale: how
similar each chip is to each person's photo, and to each other chip. Each recogniser converts
strengths to cosines of its own, and creates embeddings with these cosines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from app.config import Point
from app.identity.evidence import affinity
from app.identity.gallery import Gallery, Person
from app.identity.policies import POLICIES
from app.identity.scale import Scale
from app.pipeline.analysis import AnalysisResult
from app.pipeline.chips import EmbeddedChips
from app.pipeline.decisions import decide
from app.pipeline.frame_times import FrameTimes
from app.pipeline.shot_analysis import FaceTrack
from app.plan import PlanTrack
from app.tracking.association import stitch
from app.tracking.observations import Observation, Tracklet
from app.types import Embeddings

DOUBTFUL = 0.6
"""Strength from which a track may be a person, for each recogniser."""
RECOGNISERS = {"0.95/0.86": (0.95, 0.86), "0.6/0.05": (0.6, 0.05), "0.3/-0.1": (0.3, -0.1)}
"""The cosine from which a match is sure, and the cosine of strangers."""
PEOPLE = ("alice", "bob")
SIDE = 50.0


@dataclass(frozen=True)
class Chip:
    """A face: its strengths with the people's photos, its quality, and its identity."""

    strengths: tuple[float, float]
    quality: float = 1.0
    face: str = ""


@dataclass(frozen=True)
class Seen:
    """A track of the world."""

    first: int
    last: int
    x: float
    chips: tuple[Chip, ...]
    shot: int = 0


WORLD = {
    "alice": Seen(0, 19, 0, (Chip((1.1, 0.0), face="a"), Chip((1.0, 0.1), face="a"))),
    "perhaps alice": Seen(0, 19, 200, (Chip((0.8, 0.0)),)),
    "rather not alice": Seen(0, 19, 400, (Chip((1.04, 0.2)),)),
    "bob, doubtful": Seen(0, 19, 600, (Chip((0.1, 0.7)),)),
    "a stranger": Seen(0, 19, 800, (Chip((0.0, 0.2)), Chip((0.1, 0.0)))),
    "weak, matches nobody": Seen(0, 19, 1000, (Chip((0.1, 0.1), quality=0.3),)),
    "alice by propagation": Seen(20, 39, 0, (Chip((0.5, 0.0), face="a"),), shot=1),
    "another shot's stranger": Seen(20, 39, 300, (Chip((0.3, 0.3)),), shot=1),
    "weak, may be alice": Seen(40, 59, 0, (Chip((0.7, 0.0), quality=0.3),), shot=2),
}
EXPECTED = {
    "alice": ("blur", False, "matches alice"),
    "perhaps alice": ("keep", True, "similar to alice, but alice is another face here"),
    "rather not alice": ("blur", True, "may be alice"),
    "bob, doubtful": ("blur", True, "may be bob"),
    "a stranger": ("keep", False, "matches no listed person"),
    "weak, matches nobody": ("blur", True, "cannot be recognised: out of focus"),
    "alice by propagation": ("blur", False, "matches alice"),
    "another shot's stranger": ("keep", False, "matches no listed person"),
    "weak, may be alice": ("blur", True, "may be alice"),
}


class Recogniser:
    """Embeds a world so that cosines are ``stranger + strength * (sure - stranger)``."""

    def __init__(self, name: str) -> None:
        self.sure, self.stranger = RECOGNISERS[name]
        unit = self.sure - self.stranger
        self.scale = Scale.flat(
            stranger=self.stranger,
            doubtful=self.stranger + DOUBTFUL * unit,
            sure=self.sure,
            least=0.5,
        )

    def embed(self, strengths: NDArray[np.float64]) -> Embeddings:
        """Rows (n, n) of unit length with the cosines of ``strengths`` (n, n)."""
        cosines = self.stranger + strengths * (self.sure - self.stranger)
        np.fill_diagonal(cosines, 1.0)
        values, vectors = np.linalg.eigh(cosines)
        assert values.min() > -1e-9, "no embeddings have these cosines"
        rows = vectors * np.sqrt(np.maximum(values, 0))
        np.testing.assert_allclose(rows @ rows.T, cosines, atol=1e-6)
        return np.asarray(rows, np.float32)


@pytest.fixture(params=RECOGNISERS)
def recogniser(request: pytest.FixtureRequest) -> Recogniser:
    return Recogniser(request.param)


def _strengths(chips: Sequence[Chip]) -> NDArray[np.float64]:
    """Strengths of the people's photos and the chips with each other: (2 + n, 2 + n)."""
    count = len(PEOPLE)
    out = np.zeros((count + len(chips),) * 2)
    for i, chip in enumerate(chips, count):
        out[i, :count] = out[:count, i] = chip.strengths
        for j, other in enumerate(chips, count):
            # Faces similar to one person are similar to each other.
            out[i, j] = 0.6 * float(np.dot(chip.strengths, other.strengths))
            if chip.face and chip.face == other.face:
                out[i, j] = 1.32
    return out


def _world(recogniser: Recogniser) -> tuple[AnalysisResult, Gallery]:
    chips = [chip for seen in WORLD.values() for chip in seen.chips]
    rows = recogniser.embed(_strengths(chips))
    gallery = Gallery(tuple(Person(name, rows[i : i + 1], 1) for i, name in enumerate(PEOPLE)))
    tracks, at = [], len(PEOPLE)
    for seen in WORLD.values():
        count, frames = len(seen.chips), seen.last - seen.first + 1
        box = np.asarray([[seen.x, 0, seen.x + SIDE, SIDE]], np.float32)
        embedded = EmbeddedChips(
            rows[at : at + count],
            np.asarray([chip.quality for chip in seen.chips], np.float32),
            np.full(count, 60, np.float32),
            np.linspace(seen.first, seen.last, count + 2).astype(np.int64)[1:-1],
            "out of focus",
        )
        span = (seen.first, seen.last)
        tracks.append(FaceTrack(seen.shot, seen.first, box.repeat(frames, 0), span, embedded))
        at += count
    times = FrameTimes(range(60), Fraction(1, 25))
    shots = ((0, 20), (20, 40), (40, 60))
    return AnalysisResult(60, shots, tuple(tracks), times, (640, 360), max_gap=10), gallery


def _decisions(tracks: Sequence[PlanTrack]) -> dict[str, tuple[str, bool, str]]:
    return {
        name: (track.decision, track.uncertain, track.reason)
        for name, track in zip(WORLD, tracks, strict=True)
    }


def test_tracks_get_the_same_decisions(recogniser: Recogniser) -> None:
    found, gallery = _world(recogniser)
    _, tracks = decide(found, gallery, (), recogniser.scale, POLICIES["listed"])
    assert _decisions(tracks) == EXPECTED


def test_a_selected_face_gets_the_same_decisions(recogniser: Recogniser) -> None:
    found, _ = _world(recogniser)
    middle = SIDE / 2
    _, tracks = decide(
        found, Gallery(()), (Point(5, middle, middle),), recogniser.scale, POLICIES["listed"]
    )
    decisions = _decisions(tracks)
    assert decisions["alice"] == ("blur", False, "matches selected 1")
    assert decisions["alice by propagation"] == ("blur", False, "matches selected 1")
    assert decisions["another shot's stranger"] == ("keep", False, "matches no listed person")
    beside = [name for name, seen in WORLD.items() if seen.shot == 0 and name != "alice"]
    assert {decisions[name][0] for name in beside} == {"keep"}


def tracklet(first: int, last: int, x: float) -> Tracklet:
    box = np.asarray([x, 0, x + SIDE, SIDE], np.float32)
    marks = np.zeros((5, 2), np.float32)
    return Tracklet([Observation(frame, box, 0.9, marks) for frame in (first, last)])


@pytest.mark.parametrize(
    ("strength", "joined"), [(1.4, True), (0.6, True), (0.31, True), (0.2, False), (0.0, False)]
)
def test_the_same_tracklets_are_joined(
    recogniser: Recogniser, strength: float, joined: bool
) -> None:
    """Two tracklets in one place, half a second apart: chips may count against one person."""
    rows = recogniser.embed(np.full((2, 2), strength))
    one, other = (
        EmbeddedChips(
            row[None], np.ones(1, np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
        )
        for row in rows
    )
    tracklets = [tracklet(0, 9, 0), tracklet(21, 30, 0)]
    strengths = affinity(one, other, recogniser.scale)
    assert len(stitch(tracklets, 25, lambda *_: strengths)) == (1 if joined else 2)
