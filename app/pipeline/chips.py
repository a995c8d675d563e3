"""Collect the best chips of each face while its frames are in memory, and embed them later."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from app.faces.chips import (
    ChipQuality,
    align,
    brighten_dark,
    chip_quality,
    frontality,
    visible_part,
)
from app.geometry import clip_to_pixels
from app.identity.evidence import (
    COMPRESSION,
    NO_CLEAR_VIEW,
    ChipMeasures,
    Values,
    compression_factor,
    rate_chips,
)
from app.pipeline.face_looker import face_surroundings
from app.pipeline.views import is_see_through
from app.tracking.observations import Observation, Tracklet
from app.types import Boxes, Embeddings, FaceRecogniser, Faces, Frame, Image

MAX_CHIPS = 6
"""Chips kept per track: enough for every pose that it shows for some time."""
MIN_FRAME_GAP = 8
"""Minimum frames between two chips of a track: neighbours look the same."""
MIN_QUALITY = 0.1
"""Chips below this quality are not embedded: nobody can be recognised in them."""
MAX_WAITING = 256
"""Number of chips of ended tracklets from which they are embedded before the shot ends. Until then
each takes 68 kB. Some of that work is wasted, as tracklets are joined later."""
SEE_THROUGH = "partly transparent"
"""The flaw of a face through which the background shines."""
MAX_FACE_SIDE = 240
"""Faces are reduced to this many pixels before their chip is cut."""


@dataclass(slots=True)
class Chip:
    """An aligned face crop, its quality, and its embedding (D,) once computed.

    ``image`` is None once it is embedded, or if it is not worth embedding. ``expected_quality`` is
    the estimate from the observation alone. ``flaw`` names the main reason for a low ``quality``.
    ``light`` is the mean luma of the face, 0..1. ``quantiser`` measures compression; 0 if unknown.
    """

    observation: Observation
    image: Image | None
    expected_quality: float
    quality: float
    flaw: str
    size: float
    light: float
    quantiser: float
    embedding: Embeddings | None = None


@dataclass(frozen=True, slots=True)
class EmbeddedChips:
    """Chips of a track: embeddings (k, D), qualities (k,), sizes (k,) in pixels, frames (k,).

    ``flaw`` names the main weakness of the best chip, embedded or not. ``light`` is the median luma
    of the chips, 0..1; 0 without chips.
    """

    embeddings: Embeddings
    qualities: Values
    sizes: Values
    frames: NDArray[np.int64]
    flaw: str = NO_CLEAR_VIEW
    light: float = 0.0

    @classmethod
    def empty(cls, dimension: int) -> "EmbeddedChips":
        """Return a record without chips, for embeddings of ``dimension``."""
        no_values = np.zeros(0, np.float32)
        rows = np.zeros((0, dimension), np.float32)
        return cls(rows, no_values, no_values, np.zeros(0, np.int64))


@dataclass(slots=True)
class ChipCollector:
    """The best chips of every tracklet of one shot, which may last for hours."""

    recogniser: FaceRecogniser
    frames: Mapping[int, Frame]
    _chips: dict[Observation, Chip] = field(default_factory=dict)
    _waiting: dict[Observation, tuple[int, list[Chip]]] = field(default_factory=dict)
    """By the first observation of a tracklet: its last frame, and its chips, best first."""

    def add(self, tracklet: Tracklet, since: int) -> None:
        """Cut chips of the tracklet's observations after frame ``since``, still in memory."""
        new = list(takewhile(lambda o: o.frame > since, reversed(tracklet.observations)))[::-1]
        _, chips = self._waiting.get(tracklet.observations[0], (0, []))
        for observation in sorted(new, key=expected_quality, reverse=True):
            if self._is_useful(chips, observation):
                chips = self._with(chips, observation)
        for dropped in chips[MAX_CHIPS:]:
            del self._chips[dropped.observation]
        if chips:
            self._waiting[tracklet.observations[0]] = tracklet.last, chips[:MAX_CHIPS]

    def embed_ended(self, before: int) -> None:
        """Embed the chips of tracklets that ended before a frame, once there are many."""
        ended = [head for head, (last, _) in self._waiting.items() if last < before]
        chips = [chip for head in ended for chip in self._waiting[head][1]]
        if len(chips) < MAX_WAITING:
            return
        self._embed(chips)
        for head in ended:
            del self._waiting[head]

    def chips_of(self, tracklet: Tracklet) -> list[Chip]:
        """Return the chips of a tracklet, best first."""
        chips = [self._chips[o] for o in tracklet.observations if o in self._chips]
        return sorted(chips, key=lambda chip: chip.expected_quality, reverse=True)

    @staticmethod
    def _is_useful(chips: Sequence[Chip], observation: Observation) -> bool:
        if any(abs(c.observation.frame - observation.frame) < MIN_FRAME_GAP for c in chips):
            return False
        if len(chips) < MAX_CHIPS:
            return True
        return expected_quality(observation) > chips[MAX_CHIPS - 1].expected_quality

    def _with(self, chips: list[Chip], observation: Observation) -> list[Chip]:
        frame = self.frames[observation.frame]
        if clip_to_pixels(observation.box, frame.size) is None:
            return chips
        chip = self._chips[observation] = cut_chip(frame, observation, self.recogniser)
        return sorted([*chips, chip], key=lambda chip: chip.expected_quality, reverse=True)

    def embed(self, tracklets: Iterable[Tracklet]) -> list[EmbeddedChips]:
        """Return the best chips of each tracklet, embedded; each chip is embedded only once."""
        chosen = [self.chips_of(tracklet)[:MAX_CHIPS] for tracklet in tracklets]
        self._embed(chip for chips in chosen for chip in chips)
        return [self._stack(chips) for chips in chosen]

    def _embed(self, chips: Iterable[Chip]) -> None:
        missing = {c.observation: c.image for c in chips if c.image is not None}
        rows = self.recogniser.embed(list(missing.values()))
        for observation, row in zip(missing, rows, strict=True):
            self._chips[observation].embedding = row
            self._chips[observation].image = None

    def _stack(self, chips: list[Chip]) -> EmbeddedChips:
        if not chips:
            return EmbeddedChips.empty(self.recogniser.dimension)
        best = max(chips, key=lambda chip: chip.quality)
        quantiser = max(chip.quantiser for chip in chips)
        factor = float(compression_factor(quantiser, np.asarray([best.size], np.float32))[0])
        rows = [(chip, chip.embedding) for chip in chips if chip.embedding is not None]
        sizes = np.asarray([chip.size for chip, _ in rows], np.float32)
        qualities = np.asarray([chip.quality for chip, _ in rows], np.float32)
        return EmbeddedChips(
            np.asarray([row for _, row in rows], np.float32).reshape(-1, self.recogniser.dimension),
            qualities * compression_factor(quantiser, sizes),
            sizes,
            np.asarray([chip.observation.frame for chip, _ in rows], np.int64),
            best.flaw if best.quality < factor else COMPRESSION.flaw,
            float(np.median([chip.light for chip in chips])),
        )


def expected_quality(observation: Observation) -> float:
    """Estimate the quality of a chip before it is cut, from score, size and frontality."""
    side = float((observation.box[2:] - observation.box[:2]).min())
    frontal = float(frontality(observation.landmarks[None])[0])
    return observation.score * min(1.0, side / 60) * (0.4 + 0.6 * frontal)


def cut_chip(frame: Frame, observation: Observation, recogniser: FaceRecogniser) -> Chip:
    """Cut and rate the aligned chip of an observation."""
    image, scale, (x, y) = face_surroundings(frame, observation.box, MAX_FACE_SIDE)
    scores = np.asarray([observation.score], np.float32)
    face = Faces(observation.box[None], scores, observation.landmarks[None])
    local = face.moved((scale, scale), (-x * scale, -y * scale))
    (chip,) = align(image, local.landmarks, recogniser.template, recogniser.chip_size)
    inside = visible_part(face.landmarks, recogniser.template, recogniser.chip_size, frame.size)
    measured, quality, flaw = rate_chip(face, chip, inside)
    if is_see_through(frame, observation.box):
        quality, flaw = 0.0, SEE_THROUGH
    return Chip(
        observation=observation,
        image=brighten_dark(chip) if quality >= MIN_QUALITY else None,
        expected_quality=expected_quality(observation),
        quality=quality,
        flaw=flaw,
        size=float(measured.size[0]),
        light=float(measured.brightness[0]),
        quantiser=_quantiser(frame, observation.box),
    )


def rate_chip(face: Faces, chip: Image, inside: Values) -> tuple[ChipQuality, float, str]:
    """Return the measures of one chip, its quality and its main flaw.

    ``inside`` (1,) is the fraction of the face inside the frame.
    """
    measured = chip_quality(face, [chip])
    measures = ChipMeasures(
        scores=face.scores,
        sizes=measured.size,
        sharpness=measured.sharpness,
        contrast=measured.contrast,
        frontality=measured.frontality,
        visible=inside,
    )
    (quality,), (flaw,) = rate_chips(measures)
    return measured, float(quality), flaw


def _quantiser(frame: Frame, box: Boxes) -> float:
    """Return the mean quantiser of a face; 0 if unknown."""
    region = clip_to_pixels(box, frame.size)
    return 0.0 if region is None else frame.quantiser(region) or 0.0
