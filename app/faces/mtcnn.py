"""MTCNN: faces and five landmarks, from the three networks of a model pack.

Method: Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", https://arxiv.org/abs/1604.02878. A small network proposes squares in a pyramid of the
picture, a second one refines and rejects them, and a third one refines what is left and places
the landmarks. Between them boxes are calibrated, thinned out, and made square again.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.faces.mtcnn_stages import (
    MARGIN,
    SIGNATURES,
    Stage,
    calibrated,
    distinct_many,
    not_inside,
    proposals,
    runs,
    squares,
)
from app.faces.pyramid import Halves
from app.networks.sessions import Device
from app.packs.input_size import WHOLE, InputSize
from app.types import Boxes, Faces, Image, Scores, Size

SCORE = 0.4
"""Least score of the last network; its probability is then about 0.7, as published."""
SHARPNESS = 2.5
"""A face's score is the last probability raised to this, so that it means about what it means with
CenterFace: the rest of the system believes a face from 0.4 on. The softmax is nearly always sure:
99 % of the faces of ``testmedia/scenes.py`` have 0.88 and more. In 283 photographs and frames of
a concert and a music video it found, where CenterFace sees nothing, 22 faces at a probability of
0.4 and 5 at 0.7, and of the 297 that CenterFace sees 240 and 232."""
PROPOSED, REFINED = 0.6, 0.7
"""Least probabilities of the first two networks; as published. With 0.4 and 0.3 it took half as
long again, found at most two more of those 297 faces, and four times as many that are none."""
SAME_LEVEL, SAME_PROPOSAL, SAME_REFINED = 0.5, 0.7, 0.7
"""Intersections over union from which two candidates are one: of one level of the pyramid, of
all levels, and after the second network."""
INSIDE = 0.7
"""Share of the smaller of two boxes that is in both, from which they are one face."""
BATCH = 256
"""Crops in one run: memory stays bounded, and larger batches are not faster."""


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Squares (N, 4), each in pixels of the picture whose number is in ``owners`` (N,)."""

    owners: NDArray[np.intp]
    boxes: Boxes

    @classmethod
    def joined(cls, parts: Sequence[Boxes]) -> "_Candidates":
        """Those of each picture, as squares."""
        counts = [len(part) for part in parts]
        boxes = np.concatenate([np.zeros((0, 4), np.float32), *parts])
        return cls(np.repeat(np.arange(len(parts)), counts), squares(boxes))


class Mtcnn:
    """``FaceDetector`` over the published networks of MTCNN.

    Its boxes need no margin of their own: on the scenes of ``testmedia/scenes.py`` their sides
    are 0.99 and 0.98 of the true ones, their centres 0.02 of a side off, and grown by 0.2 on each
    side they cover every face wholly, as those of CenterFace do.

    Args:
        models: the files of the proposal, the refinement and the output network, or their bytes.
        threads: at most; default: the CPUs this process may use.
        score: faces of lower score are not returned, 0..1.
        device: where to run.
        whole: in which size whole pictures are looked at.

    Raises:
        ValueError: there are not three models, or the score is out of its range.
        ModelError: a model cannot be loaded, or is another network.
        DeviceError: the GPU that was asked for cannot be used.
    """

    def __init__(
        self,
        *models: Path | bytes,
        threads: int | None = None,
        score: float = SCORE,
        device: Device = "cpu",
        whole: InputSize = WHOLE,
    ) -> None:
        if not 0 < score < 1:
            raise ValueError(f"score: expected between 0 and 1, got {score}")
        if len(models) != len(SIGNATURES):
            raise ValueError(f"models: expected {len(SIGNATURES)}, got {len(models)}")
        self._propose, self._refine, self._output = (
            Stage(model, signature, threads, device)
            for model, signature in zip(models, SIGNATURES, strict=True)
        )
        self._score, self._whole = score, whole

    def input_size(self, size: Size) -> Size:
        """The size to give whole pictures of ``size`` in: enough for small faces, no more.

        That of CenterFace, but not rounded to its multiples: a face that is 16 pixels wide in it
        is 20 high, the least that is looked for here.

        Raises:
            ValueError: the size is not positive.
        """
        scale = self._whole.scale(size)
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """Faces of each picture, best first, in its own pixels; boxes may overhang it.

        Pictures of any sizes; the candidates of all of them are looked at together.

        Raises:
            ValueError: a picture is not (h, w, 3) uint8, or empty.
            ModelError: the runtime fails.
        """
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                got = f"{image.shape} {image.dtype}"
                raise ValueError(f"image: expected (h, w, 3) uint8, got {got}")
        pictures = [Halves(image) for image in images]
        return self._placed(pictures, self._refined(pictures, self._proposed(pictures)))

    def _proposed(self, pictures: list[Halves]) -> _Candidates:
        """What the first network finds in the pyramid of each picture."""
        boxes: dict[int, list[Boxes]] = defaultdict(list)
        scores: dict[int, list[Scores]] = defaultdict(list)
        for group, level in runs([picture.size for picture in pictures]):
            images = np.stack([pictures[number].scaled(level, MARGIN) for number in group])
            for number, *maps in zip(group, *self._propose.run(images), strict=True):
                found, probability = proposals(maps[0], maps[1], PROPOSED)
                kept = distinct_many(found, probability, SAME_LEVEL)
                factor = np.asarray(pictures[number].size, np.float32) / level
                boxes[number].append(found[kept] * np.tile(factor, 2).astype(np.float32))
                scores[number].append(probability[kept])
        parts = [np.zeros((0, 4), np.float32) for _ in pictures]
        for number in boxes:
            every, probability = (np.concatenate(one[number]) for one in (boxes, scores))
            parts[number] = every[distinct_many(every, probability, SAME_PROPOSAL)]
        return _Candidates.joined(parts)

    def _refined(self, pictures: list[Halves], candidates: _Candidates) -> _Candidates:
        """What the second network leaves of the candidates."""
        probability, regression = _looked(self._refine, 24, pictures, candidates, (4,))
        boxes = calibrated(candidates.boxes, regression)
        parts = []
        for number in range(len(pictures)):
            own = np.flatnonzero((candidates.owners == number) & (probability >= REFINED))
            kept = own[distinct_many(boxes[own], probability[own], SAME_REFINED)]
            parts.append(boxes[kept])
        return _Candidates.joined(parts)

    def _placed(self, pictures: list[Halves], candidates: _Candidates) -> list[Faces]:
        """The faces that the last network finds in the candidates."""
        found = _looked(self._output, 48, pictures, candidates, (4, 10))
        probability, regression, places = found
        boxes = calibrated(candidates.boxes, regression)
        corner, far = candidates.boxes[:, None, :2], candidates.boxes[:, None, 2:]
        # five x come before five y, both in units of the square
        points = places.reshape(-1, 2, 5).transpose(0, 2, 1)
        landmarks = np.asarray(corner + points * (far - corner), np.float32)
        scores = np.asarray(probability**SHARPNESS, np.float32)
        every = Faces(boxes, scores, landmarks)
        faces = []
        for number in range(len(pictures)):
            own = every.take((candidates.owners == number) & (scores >= self._score))
            faces.append(own.take(not_inside(own.boxes, own.scores, INSIDE)))
        return faces


def _looked(
    stage: Stage,
    side: int,
    pictures: list[Halves],
    candidates: _Candidates,
    widths: tuple[int, ...],
) -> list[NDArray[np.float32]]:
    """Probabilities (N,) and what is regressed, (N, width) each, of the candidates' crops."""
    parts = [[np.zeros((0, *shape), np.float32) for shape in ((), *((w,) for w in widths))]]
    for at in range(0, len(candidates.boxes), BATCH):
        owners, boxes = candidates.owners[at : at + BATCH], candidates.boxes[at : at + BATCH]
        crops = np.empty((len(boxes), side, side, 3), np.uint8)
        for number in np.unique(owners):
            crops[owners == number] = pictures[number].crops(boxes[owners == number], side)
        parts.append(list(stage.run(crops)))
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
