"""Collect the best chips of each face while its frames are at hand, and embed them later."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from app.faces.alignment import align, visible_part
from app.faces.quality import brighten_dark, chip_quality, frontality
from app.geometry import inside
from app.identity.evidence import NO_FACE, Measures
from app.identity.quality import PRESSED, ChipMeasures, pressed, rate
from app.pipeline.face_looker import face_picture
from app.tracking.observations import Observation, Trail
from app.types import Boxes, Embeddings, FaceRecogniser, Faces, Frame, Image

MOST = 6
"""Chips of a track that are kept: enough for every pose it shows for some time."""
APART = 8
"""Frames between two chips of a track: neighbours show the same."""
WORTHLESS = 0.1
"""Quality below which a chip is not embedded: nobody can be recognised in it."""
WAITING = 256
"""Chips of trails that have ended from which on they are embedded before the shot ends: they take
68 kB each until then. Some are embedded for nothing, as trails are joined later."""
SIDE = 240
"""Pixels that a face is reduced to before its chip is cut."""


@dataclass(slots=True)
class Chip:
    """An aligned face, how good it is, and its embedding (D,) once it was asked for.

    ``image`` is None from then on, or where it is not worth embedding. ``flaw`` says in words what
    lowers the ``quality`` most; ``light`` is the mean luma of the face, 0..1; ``quantiser`` says
    how hard it was pressed, and is 0 where that is unknown.
    """

    observation: Observation
    image: Image | None
    rank: float
    quality: float
    flaw: str
    size: float
    light: float
    quantiser: float
    embedding: Embeddings | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """Chips of a track: embeddings (k, D), qualities (k,), sizes (k,) in pixels, frames (k,).

    ``flaw`` says in words what makes the best chip weak, embedded or not. ``light`` is the median
    luma of the chips, 0..1; 0 without any.
    """

    embeddings: Embeddings
    qualities: Measures
    sizes: Measures
    frames: NDArray[np.int64]
    flaw: str = NO_FACE
    light: float = 0.0


@dataclass(slots=True)
class ChipCollector:
    """The best chips of every trail of one shot, which may last for hours."""

    recogniser: FaceRecogniser
    frames: Mapping[int, Frame]
    _chips: dict[Observation, Chip] = field(default_factory=dict)
    _growing: dict[Observation, tuple[int, list[Chip]]] = field(default_factory=dict)
    """By the first observation of a trail: its last frame, and its chips, best first."""

    def offer(self, trail: Trail, since: int) -> None:
        """Take chips of a trail's observations after frame ``since``, which are still at hand."""
        fresh = list(takewhile(lambda o: o.frame > since, reversed(trail.observations)))[::-1]
        _, chips = self._growing.get(trail.observations[0], (0, []))
        for observation in sorted(fresh, key=rank, reverse=True):
            if self._wanted(chips, observation):
                chips = self._with(chips, observation)
        for loser in chips[MOST:]:
            del self._chips[loser.observation]
        if chips:
            self._growing[trail.observations[0]] = trail.last, chips[:MOST]

    def settle(self, before: int) -> None:
        """Embed the chips of trails that ended before a frame, if these have become many."""
        ended = [head for head, (last, _) in self._growing.items() if last < before]
        waiting = [chip for head in ended for chip in self._growing[head][1]]
        if len(waiting) < WAITING:
            return
        self._embed(waiting)
        for head in ended:
            del self._growing[head]

    def of(self, trail: Trail) -> list[Chip]:
        """The chips of a trail, best first."""
        chips = [self._chips[o] for o in trail.observations if o in self._chips]
        return sorted(chips, key=lambda chip: chip.rank, reverse=True)

    @staticmethod
    def _wanted(chips: Sequence[Chip], observation: Observation) -> bool:
        near = [c for c in chips if abs(c.observation.frame - observation.frame) < APART]
        if near:
            return False
        return len(chips) < MOST or rank(observation) > chips[MOST - 1].rank

    def _with(self, chips: list[Chip], observation: Observation) -> list[Chip]:
        picture = self.frames[observation.frame]
        if inside(observation.box, picture.size) is None:
            return chips
        chip = self._chips[observation] = cut(picture, observation, self.recogniser)
        return sorted([*chips, chip], key=lambda chip: chip.rank, reverse=True)

    def embed(self, trails: Iterable[Trail]) -> list[Embedded]:
        """The best chips of each trail, embedded; each chip is embedded once."""
        chosen = [self.of(trail)[:MOST] for trail in trails]
        self._embed(chip for chips in chosen for chip in chips)
        return [self._stack(chips) for chips in chosen]

    def _embed(self, chips: Iterable[Chip]) -> None:
        missing = {c.observation: c.image for c in chips if c.image is not None}
        rows = self.recogniser.embed(list(missing.values()))
        for observation, row in zip(missing, rows, strict=True):
            self._chips[observation].embedding = row
            self._chips[observation].image = None

    def _stack(self, chips: list[Chip]) -> Embedded:
        if not chips:
            return self._nothing()
        best = max(chips, key=lambda chip: chip.quality)
        hardest = max(chip.quantiser for chip in chips)
        left = float(pressed(hardest, np.asarray([best.size], np.float32))[0])
        rows = [(chip, chip.embedding) for chip in chips if chip.embedding is not None]
        sizes = np.asarray([chip.size for chip, _ in rows], np.float32)
        return Embedded(
            np.asarray([row for _, row in rows], np.float32).reshape(-1, self.recogniser.dimension),
            np.asarray([chip.quality for chip, _ in rows], np.float32) * pressed(hardest, sizes),
            sizes,
            np.asarray([chip.observation.frame for chip, _ in rows], np.int64),
            best.flaw if best.quality < left else PRESSED.flaw,
            float(np.median([chip.light for chip in chips])),
        )

    def _nothing(self) -> Embedded:
        """A track without a chip."""
        none = np.zeros(0, np.float32)
        rows = np.zeros((0, self.recogniser.dimension), np.float32)
        return Embedded(rows, none, none, np.zeros(0, np.int64))


def rank(observation: Observation) -> float:
    """How good a chip is expected to be before it is cut: score, size and frontality."""
    side = float((observation.box[2:] - observation.box[:2]).min())
    facing = float(frontality(observation.landmarks[None])[0])
    return observation.score * min(1.0, side / 60) * (0.4 + 0.6 * facing)


def cut(picture: Frame, observation: Observation, recogniser: FaceRecogniser) -> Chip:
    """The aligned chip of an observation, and its quality."""
    surroundings, scale, (x, y) = face_picture(picture, observation.box, SIDE)
    face = Faces(
        observation.box[None],
        np.asarray([observation.score], np.float32),
        observation.landmarks[None],
    )
    local = face.moved((scale, scale), (-x * scale, -y * scale))
    (chip,) = align(surroundings, local.landmarks, recogniser.template, recogniser.chip_size)
    measured = chip_quality(face, [chip])
    seen = visible_part(face.landmarks, recogniser.template, recogniser.chip_size, picture.size)
    qualities, flaws = rate(
        ChipMeasures(
            face.scores, measured.size, measured.sharpness, measured.contrast,
            measured.frontality, seen,
        )
    )  # fmt: skip
    quality, size = float(qualities[0]), float(measured.size[0])
    image = brighten_dark(chip) if quality >= WORTHLESS else None
    return Chip(
        observation=observation,
        image=image,
        rank=rank(observation),
        quality=quality,
        flaw=flaws[0],
        size=size,
        light=float(measured.brightness[0]),
        quantiser=_quantiser(picture, observation.box),
    )


def _quantiser(picture: Frame, box: Boxes) -> float:
    """How hard a face was pressed; 0 where that is unknown."""
    region = inside(box, picture.size)
    return 0.0 if region is None else picture.quantiser(region) or 0.0
