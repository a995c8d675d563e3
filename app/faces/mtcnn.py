"""The MTCNN detector, over the three networks of a model pack.

Method: Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", https://arxiv.org/abs/1604.02878. A small network proposes squares in a pyramid of the
image, a second one refines or rejects them, and a third one refines the rest and finds the
landmarks. After each network, boxes are calibrated, overlaps are suppressed, and boxes become
squares again.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.faces.mtcnn_stages import (
    MARGIN,
    SIGNATURES,
    Stage,
    batches,
    calibrated,
    proposals,
    squares,
    suppress_contained,
    suppress_overlaps_fast,
)
from app.faces.resizing import ImagePyramid, check_image
from app.networks import CPU, Runtime
from app.packs.description import DEFAULT_INPUT_SIZE, InputSize
from app.types import Boxes, Faces, Image, Scores, Size

DEFAULT_SCORE: Final = 0.4
"""It corresponds to a probability of about 0.7 in the last network, as published."""
_SCORE_EXPONENT: Final = 2.5
"""A face's score is the last probability raised to this power. Scores then mean about the same as
with CenterFace; the rest of the system accepts faces from 0.4 on. The softmax is almost always
certain: 99 % of the faces in ``testmedia/scenes.py`` have at least 0.88. In 283 photos and frames
of a concert and a music video, where CenterFace finds nothing, it found 22 faces with a probability
of 0.4 and 5 with 0.7; of the 297 faces that CenterFace finds, it found 240 and 232."""
_MIN_PROPOSED: Final = 0.6
_MIN_REFINED: Final = 0.7
"""Lowest probabilities of the first two networks; as published. With 0.4 and 0.3, detection took
half as long again, found at most two more of those 297 faces, and four times as many false ones."""
_MAX_IOU_LEVEL: Final = 0.5
_MAX_IOU_PROPOSED: Final = 0.7
_MAX_IOU_REFINED: Final = 0.7
"""Candidates with a higher intersection over union are the same: within a level of the pyramid,
across levels, and after the second network."""
_MAX_CONTAINED: Final = 0.7
"""Two faces are the same if they share a larger part of the smaller box."""
_BATCH: Final = 256
"""Crops in one run, which bounds the memory. Larger batches are not faster."""


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Squares (N, 4), each in pixels of the image whose number is in ``owners`` (N,)."""

    owners: NDArray[np.intp]
    boxes: Boxes

    @classmethod
    def joined(cls, parts: Sequence[Boxes]) -> "_Candidates":
        """Join the boxes of all images, as squares."""
        counts = [len(part) for part in parts]
        boxes = np.concatenate([np.zeros((0, 4), np.float32), *parts])
        return cls(np.repeat(np.arange(len(parts)), counts), squares(boxes))


class Mtcnn:
    """``FaceDetector`` over the published networks of MTCNN.

    Its boxes need no extra margin. On the scenes of ``testmedia/scenes.py`` their sides are 0.99
    and 0.98 of the true ones, and their centres are off by 0.02 of a side. Grown by 0.2 on each
    side, they cover every face completely, as those of CenterFace do.

    Args:
        models: the paths or the bytes of the proposal, refinement and output networks.
        score: the lowest score of the faces to return, 0..1.
        runtime: the device and the threads.
        input_size: the size to which frames should be scaled.

    Raises:
        ValueError: there are not three models, or the score is out of range.
        ModelError: a model cannot be loaded, or is another network.
        DeviceError: a GPU was requested, but cannot be used.
    """

    is_reentrant = True

    def __init__(
        self,
        *models: Path | bytes,
        score: float = DEFAULT_SCORE,
        runtime: Runtime = CPU,
        input_size: InputSize = DEFAULT_INPUT_SIZE,
    ) -> None:
        if not 0 < score < 1:
            raise ValueError(f"score: expected between 0 and 1, got {score}")
        if len(models) != len(SIGNATURES):
            raise ValueError(f"models: expected {len(SIGNATURES)}, got {len(models)}")
        self._propose, self._refine, self._output = (
            Stage(model, signature, runtime)
            for model, signature in zip(models, SIGNATURES, strict=True)
        )
        self._score, self._input_size = score, input_size

    def input_size(self, size: Size) -> Size:
        """Return the size to which frames of ``size`` should be scaled.

        It is the size of CenterFace without rounding. A face that is 16 pixels wide at this size is
        20 pixels high, the smallest that MTCNN looks for.

        Raises:
            ValueError: the size is not positive.
        """
        scale = self._input_size.scale(size)
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """Return the faces of each image, best first, in its pixels.

        Boxes may extend beyond the image. The candidates of all images are run together.

        Raises:
            ValueError: an image is not (h, w, 3) uint8, or is empty.
            ModelError: the runtime fails.
        """
        for image in images:
            check_image(image)
        pyramids = [ImagePyramid(image) for image in images]
        candidates = self._refined(pyramids, self._proposed(pyramids))
        return self._faces(pyramids, candidates)

    def _proposed(self, pyramids: list[ImagePyramid]) -> _Candidates:
        """Return the proposals of the first network in the pyramid of each image."""
        boxes: dict[int, list[Boxes]] = defaultdict(list)
        scores: dict[int, list[Scores]] = defaultdict(list)
        for group, size in batches([pyramid.size for pyramid in pyramids]):
            images = np.stack([pyramids[number].scaled(size, MARGIN) for number in group])
            for number, *maps in zip(group, *self._propose.run(images), strict=True):
                found, probability = proposals(maps[0], maps[1], _MIN_PROPOSED)
                kept = suppress_overlaps_fast(found, probability, _MAX_IOU_LEVEL)
                factor = np.asarray(pyramids[number].size, np.float32) / size
                boxes[number].append(found[kept] * np.tile(factor, 2).astype(np.float32))
                scores[number].append(probability[kept])
        parts = [np.zeros((0, 4), np.float32) for _ in pyramids]
        for number in boxes:
            joined, probability = (np.concatenate(one[number]) for one in (boxes, scores))
            parts[number] = joined[suppress_overlaps_fast(joined, probability, _MAX_IOU_PROPOSED)]
        return _Candidates.joined(parts)

    def _refined(self, pyramids: list[ImagePyramid], candidates: _Candidates) -> _Candidates:
        """Return the candidates that the second network accepts, refined."""
        probability, regression = _run_crops(self._refine, 24, pyramids, candidates, (4,))
        boxes = calibrated(candidates.boxes, regression)
        parts = []
        for number in range(len(pyramids)):
            own = np.flatnonzero((candidates.owners == number) & (probability >= _MIN_REFINED))
            kept = own[suppress_overlaps_fast(boxes[own], probability[own], _MAX_IOU_REFINED)]
            parts.append(boxes[kept])
        return _Candidates.joined(parts)

    def _faces(self, pyramids: list[ImagePyramid], candidates: _Candidates) -> list[Faces]:
        """Return the faces that the last network finds in the candidates."""
        found = _run_crops(self._output, 48, pyramids, candidates, (4, 10))
        probability, regression, relative = found
        boxes = calibrated(candidates.boxes, regression)
        corner, far = candidates.boxes[:, None, :2], candidates.boxes[:, None, 2:]
        # Five x, then five y, both in units of the square.
        points = relative.reshape(-1, 2, 5).transpose(0, 2, 1)
        landmarks = np.asarray(corner + points * (far - corner), np.float32)
        scores = np.asarray(probability**_SCORE_EXPONENT, np.float32)
        detected = Faces(boxes, scores, landmarks)
        faces = []
        for number in range(len(pyramids)):
            own = detected.take((candidates.owners == number) & (scores >= self._score))
            faces.append(own.take(suppress_contained(own.boxes, own.scores, _MAX_CONTAINED)))
        return faces


def _run_crops(
    stage: Stage,
    side: int,
    pyramids: list[ImagePyramid],
    candidates: _Candidates,
    widths: tuple[int, ...],
) -> list[NDArray[np.float32]]:
    """Run a network on crops of the candidates.

    Returns:
        The probabilities (N,), and for each of ``widths`` a regression (N, width).
    """
    parts = [[np.zeros((0, *shape), np.float32) for shape in ((), *((w,) for w in widths))]]
    for at in range(0, len(candidates.boxes), _BATCH):
        owners, boxes = candidates.owners[at : at + _BATCH], candidates.boxes[at : at + _BATCH]
        crops = np.empty((len(boxes), side, side, 3), np.uint8)
        for number in np.unique(owners):
            crops[owners == number] = pyramids[number].crops(boxes[owners == number], side)
        parts.append(list(stage.run(crops)))
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
