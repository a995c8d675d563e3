"""Collect the best chips of each face while its frames are at hand, and embed them later."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from app.faces.alignment import align
from app.faces.quality import chip_quality, frontality, lit
from app.geometry import inside
from app.identity.weights import Values, chip_weights
from app.pipeline.looking import face_picture
from app.tracking.observations import Observation, Trail
from app.types import Embeddings, FaceRecogniser, Faces, Frame, Image

MOST = 6
"""Chips of a track that are kept: enough for every pose it shows for some time."""
APART = 8
"""Frames between two chips of a track: neighbours show the same."""
WORTHLESS = 0.1
"""Weight below which a chip is not embedded: whatever it is like, it says nothing."""
SIDE = 240
"""Pixels that a face is reduced to before its chip is cut."""


@dataclass(slots=True)
class Chip:
    """An aligned face, how good it is, and its embedding (D,) once it was asked for."""

    observation: Observation
    image: Image
    rank: float
    weight: float
    size: float
    embedding: Embeddings | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """Chips of a track: embeddings (k, D), weights (k,) in 0..1, sizes (k,) in pixels."""

    embeddings: Embeddings
    weights: Values
    sizes: Values


@dataclass(slots=True)
class ChipCollector:
    """The best chips of every trail of one shot."""

    recogniser: FaceRecogniser
    frames: Mapping[int, Frame]
    _chips: dict[Observation, Chip] = field(default_factory=dict)

    def offer(self, trail: Trail, since: int) -> None:
        """Take chips of a trail's observations after frame ``since``, which are still at hand."""
        fresh = [o for o in trail.observations if o.frame > since]
        ranked = sorted(fresh, key=rank, reverse=True)
        for observation in ranked:
            if self._wanted(trail, observation):
                self._add(observation)
        for loser in self.of(trail)[MOST:]:
            del self._chips[loser.observation]

    def of(self, trail: Trail) -> list[Chip]:
        """The chips of a trail, best first."""
        chips = [self._chips[o] for o in trail.observations if o in self._chips]
        return sorted(chips, key=lambda chip: chip.rank, reverse=True)

    def _wanted(self, trail: Trail, observation: Observation) -> bool:
        chips = self.of(trail)
        near = [c for c in chips if abs(c.observation.frame - observation.frame) < APART]
        if near:
            return False
        return len(chips) < MOST or rank(observation) > chips[MOST - 1].rank

    def _add(self, observation: Observation) -> None:
        picture = self.frames[observation.frame]
        if inside(observation.box, picture.size) is None:
            return
        self._chips[observation] = cut(picture, observation, self.recogniser)

    def embed(self, trails: Iterable[Trail]) -> list[Embedded]:
        """The best chips of each trail, embedded; each chip is embedded once."""
        chosen = [
            [chip for chip in self.of(trail)[:MOST] if chip.weight >= WORTHLESS] for trail in trails
        ]
        missing = [chip for chips in chosen for chip in chips if chip.embedding is None]
        for chip, row in zip(
            missing, self.recogniser.embed([c.image for c in missing]), strict=True
        ):
            chip.embedding = row
        return [self._stack(chips) for chips in chosen]

    def _stack(self, chips: list[Chip]) -> Embedded:
        rows = [chip.embedding for chip in chips if chip.embedding is not None]
        return Embedded(
            np.asarray(rows, np.float32).reshape(-1, self.recogniser.dimension),
            np.asarray([chip.weight for chip in chips], np.float32),
            np.asarray([chip.size for chip in chips], np.float32),
        )


def rank(observation: Observation) -> float:
    """How good a chip is expected to be before it is cut: score, size and frontality."""
    side = float((observation.box[2:] - observation.box[:2]).min())
    facing = float(frontality(observation.landmarks[None])[0])
    return observation.score * min(1.0, side / 60) * (0.4 + 0.6 * facing)


def cut(picture: Frame, observation: Observation, recogniser: FaceRecogniser) -> Chip:
    """The aligned chip of an observation, and what it is worth."""
    image, scale, (x, y) = face_picture(picture, observation.box, SIDE)
    face = Faces(
        observation.box[None],
        np.asarray([observation.score], np.float32),
        observation.landmarks[None],
    )
    local = face.moved((scale, scale), (-x * scale, -y * scale))
    (chip,) = align(image, local.landmarks, recogniser.template, recogniser.chip_size)
    quality = chip_quality(face, [chip])
    weights = chip_weights(face.scores, quality.size, quality.contrast, quality.sharpness)
    return Chip(
        observation, lit(chip), rank(observation), float(weights[0]), float(quality.size[0])
    )
