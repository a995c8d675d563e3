"""The contract of similarity scales: decisions do not depend on the recogniser's similarities.

Several synthetic recognisers get the same scene. It is described in strengths, the unit of a scale:
how similar each chip is to each person's photo and to each other chip. Each recogniser converts
strengths to cosines of its own, and returns embeddings with these cosines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from app.config import Point
from app.identity.evidence import alike
from app.identity.gallery import Gallery, Person
from app.identity.policies import POLICIES
from app.identity.scale import Scale
from app.pipeline.analysis import Found, FoundTrack
from app.pipeline.chips import Embedded
from app.pipeline.decisions import decide
from app.plan import PlanTrack
from app.tracking.observations import Observation, Trail
from app.tracking.stitching import stitch
from app.types import Embeddings

DOUBTFUL = 0.6
"""The strength from which a track may be a person, for every recogniser."""
RECOGNISERS = {"0.95/0.86": (0.95, 0.86), "0.6/0.05": (0.6, 0.05), "0.3/-0.1": (0.3, -0.1)}
"""The cosine from which a match is certain, and the cosine of strangers."""
PEOPLE = ("alice", "bob")
SIDE = 50.0


@dataclass(frozen=True)
class Chip:
    """A chip: its strengths with the photos, its quality, and the name of the face."""

    likeness: tuple[float, float]
    quality: float = 1.0
    face: str = ""


@dataclass(frozen=True)
class SceneTrack:
    """A track of the scene."""

    first: int
    last: int
    x: float
    chips: tuple[Chip, ...]
    shot: int = 0


SCENE = {
    "alice": SceneTrack(0, 19, 0, (Chip((1.1, 0.0), face="a"), Chip((1.0, 0.1), face="a"))),
    "perhaps alice": SceneTrack(0, 19, 200, (Chip((0.8, 0.0)),)),
    "rather not alice": SceneTrack(0, 19, 400, (Chip((1.04, 0.2)),)),
    "bob, doubtful": SceneTrack(0, 19, 600, (Chip((0.1, 0.7)),)),
    "a stranger": SceneTrack(0, 19, 800, (Chip((0.0, 0.2)), Chip((0.1, 0.0)))),
    "weak, like nobody": SceneTrack(0, 19, 1000, (Chip((0.1, 0.1), quality=0.3),)),
    "alice by company": SceneTrack(20, 39, 0, (Chip((0.5, 0.0), face="a"),), shot=1),
    "another shot's stranger": SceneTrack(20, 39, 300, (Chip((0.3, 0.3)),), shot=1),
    "weak, may be alice": SceneTrack(40, 59, 0, (Chip((0.7, 0.0), quality=0.3),), shot=2),
}
EXPECTED = {
    "alice": ("blur", False, "matches alice"),
    "perhaps alice": ("keep", True, "like alice, who is somebody else here"),
    "rather not alice": ("blur", True, "may be alice"),
    "bob, doubtful": ("blur", True, "may be bob"),
    "a stranger": ("keep", False, "like nobody listed"),
    "weak, like nobody": ("blur", True, "cannot tell: out of focus"),
    "alice by company": ("blur", False, "matches alice"),
    "another shot's stranger": ("keep", False, "like nobody listed"),
    "weak, may be alice": ("blur", True, "may be alice"),
}


class Recogniser:
    """Embeds a scene so that cosines are ``stranger + strength * (sure - stranger)``."""

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
        """Return unit-length rows (n, n) with the cosines that ``strengths`` (n, n) stand for."""
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
    """Return the strengths of all photos and chips with each other, (2 + n, 2 + n)."""
    count = len(PEOPLE)
    out = np.zeros((count + len(chips),) * 2)
    for i, chip in enumerate(chips, count):
        out[i, :count] = out[:count, i] = chip.likeness
        for j, other in enumerate(chips, count):
            # Faces that are similar to one person are also similar to each other.
            out[i, j] = 0.6 * float(np.dot(chip.likeness, other.likeness))
            if chip.face and chip.face == other.face:
                out[i, j] = 1.32
    return out


def _scene(recogniser: Recogniser) -> tuple[Found, Gallery]:
    chips = [chip for seen in SCENE.values() for chip in seen.chips]
    rows = recogniser.embed(_strengths(chips))
    gallery = Gallery(tuple(Person(name, rows[i : i + 1], 1) for i, name in enumerate(PEOPLE)))
    tracks, at = [], len(PEOPLE)
    for seen in SCENE.values():
        count, frames = len(seen.chips), seen.last - seen.first + 1
        box = np.asarray([[seen.x, 0, seen.x + SIDE, SIDE]], np.float32)
        embedded = Embedded(
            rows[at : at + count],
            np.asarray([chip.quality for chip in seen.chips], np.float32),
            np.full(count, 60, np.float32),
            np.linspace(seen.first, seen.last, count + 2).astype(np.int64)[1:-1],
            "out of focus",
        )
        span = (seen.first, seen.last)
        tracks.append(FoundTrack(seen.shot, seen.first, box.repeat(frames, 0), span, embedded))
        at += count
    return Found(60, ((0, 20), (20, 40), (40, 60)), tuple(tracks), patience=10), gallery


def _decisions(tracks: Sequence[PlanTrack]) -> dict[str, tuple[str, bool, str]]:
    """Return decision, uncertainty and reason of each track by name."""
    return {
        name: (track.decision, track.uncertain, track.reason)
        for name, track in zip(SCENE, tracks, strict=True)
    }


def test_decisions_do_not_depend_on_the_recogniser(recogniser: Recogniser) -> None:
    found, gallery = _scene(recogniser)
    _, tracks = decide(found, gallery, (), recogniser.scale, POLICIES["listed"])
    assert _decisions(tracks) == EXPECTED


def test_selected_face_is_found_with_every_recogniser(recogniser: Recogniser) -> None:
    found, _ = _scene(recogniser)
    middle = SIDE / 2
    _, tracks = decide(
        found, Gallery(()), (Point(5, middle, middle),), recogniser.scale, POLICIES["listed"]
    )
    decisions = _decisions(tracks)
    assert decisions["alice"] == ("blur", False, "matches selected 1")
    assert decisions["alice by company"] == ("blur", False, "matches selected 1")
    assert decisions["another shot's stranger"] == ("keep", False, "like nobody listed")
    beside = [name for name, seen in SCENE.items() if seen.shot == 0 and name != "alice"]
    assert {decisions[name][0] for name in beside} == {"keep"}


def trail(first: int, last: int, x: float) -> Trail:
    box = np.asarray([x, 0, x + SIDE, SIDE], np.float32)
    marks = np.zeros((5, 2), np.float32)
    return Trail([Observation(frame, box, 0.9, marks) for frame in (first, last)])


@pytest.mark.parametrize(
    ("strength", "joined"), [(1.4, True), (0.6, True), (0.31, True), (0.2, False), (0.0, False)]
)
def test_stitching_does_not_depend_on_the_recogniser(
    recogniser: Recogniser, strength: float, joined: bool
) -> None:
    """Two trails at the same position, half a second apart; chips may contradict one person."""
    rows = recogniser.embed(np.full((2, 2), strength))
    one, other = (
        Embedded(row[None], np.ones(1, np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
        for row in rows
    )
    trails = [trail(0, 9, 0), trail(21, 30, 0)]
    likeness = alike(one, other, recogniser.scale)
    assert len(stitch(trails, 25, lambda *_: likeness)) == (1 if joined else 2)
