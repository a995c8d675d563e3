"""CenterFace: faces and five landmarks, from the converted network of a model pack.

Method: Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point",
https://arxiv.org/abs/1911.03599. Each cell of a map at a quarter of the picture's resolution says
whether a face is centred in it, and if so, its size, offset and landmarks.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import ModelError
from app.geometry import iou
from app.networks.sessions import Device, on_gpu, open_session
from app.packs.input_size import WHOLE, InputSize, enlarged, padded, restored
from app.types import Boxes, Faces, Image, Scores, Size

STRIDE = 4
"""Pixels per cell of the maps."""
LARGEST_LOG = 8.0
"""Bound of the decoded log size: 12,000 pixels; damaged values must not overflow."""
SMALLEST = 64
"""Pictures whose longer side is less are enlarged: the network does not see tiny faces."""
SCORE = 0.35
OVERLAP = 0.3
"""Two boxes of higher intersection over union are one face; as published."""
BATCH_PIXELS = 1 << 17
"""Pixels in one run: memory stays bounded, and larger batches are not faster."""
GPU_BATCH_PIXELS = 1 << 22
"""The same on a GPU, where they are. A pixel takes about 200 bytes (counted on a CPU): together
less than half of what a session may take (``sessions.GPU_BYTES``)."""


class CenterFace:
    """``FaceDetector`` over the converted CenterFace network.

    Args:
        model: the file of weights, or its bytes.
        threads: at most; default: the CPUs this process may use.
        score: faces of lower score are not returned, 0..1.
        device: where to run.
        whole: in which size whole pictures are looked at.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        threads: int | None = None,
        score: float = SCORE,
        device: Device = "cpu",
        whole: InputSize = WHOLE,
    ) -> None:
        if not 0 < score < 1:
            raise ValueError(f"score: expected between 0 and 1, got {score}")
        self._session = open_session(model, threads, device)
        self._score, self._whole = score, whole
        self._batch = GPU_BATCH_PIXELS if on_gpu(self._session) else BATCH_PIXELS

    def input_size(self, size: Size) -> Size:
        """The size to give whole pictures of ``size`` in: see ``InputSize``.

        Raises:
            ValueError: the size is not positive.
        """
        return self._whole.of(size)

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """Faces of each picture, best first, in its own pixels; boxes may overhang it.

        Pictures of any sizes; those that fill the same multiple of 32 are run together. Content is
        never rescaled, but in pictures that are smaller than 64 pixels.

        Raises:
            ValueError: a picture is not (h, w, 3) uint8, or empty.
            ModelError: the runtime fails.
        """
        ready = [enlarged(image, SMALLEST) for image in images]
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, image in enumerate(ready):
            groups[padded(image.shape[0]), padded(image.shape[1])].append(index)
        found: dict[int, Faces] = {}
        for sides, group in groups.items():
            for part in _parts(group, sides, self._batch):
                maps = self._run([ready[index] for index in part], sides)
                found.update(zip(part, (self._decode(one) for one in maps), strict=True))
        return [restored(found[i], ready[i], image) for i, image in enumerate(images)]

    def _run(self, images: list[Image], sides: tuple[int, int]) -> NDArray[np.float32]:
        batch = np.zeros((len(images), *sides, 3), np.uint8)
        for row, image in zip(batch, images, strict=True):
            row[: image.shape[0], : image.shape[1]] = image
        try:
            return np.asarray(self._session.run(["maps"], {"images": batch})[0], np.float32)
        except Exception as error:
            raise ModelError(f"CenterFace failed on {batch.shape}: {error}") from error

    def _decode(self, maps: NDArray[np.float32]) -> Faces:
        """Faces of one (15, h, w) map."""
        rows, columns = np.nonzero(maps[0] > math.log(self._score / (1 - self._score)))
        values = maps[:, rows, columns]
        scores = (1 / (1 + np.exp(-np.clip(values[0], -50, 50)))).astype(np.float32)
        sides = np.exp(np.minimum(values[1:3], LARGEST_LOG)) * STRIDE
        middle = (np.stack([rows, columns]) + values[3:5] + 0.5) * STRIDE
        corner = middle - sides / 2
        boxes = np.concatenate([corner[::-1], (corner + sides)[::-1]]).T.astype(np.float32)
        points = values[5:].reshape(5, 2, -1) * sides + corner
        landmarks = points[:, ::-1].transpose(2, 0, 1).astype(np.float32)
        return Faces(boxes, scores, landmarks).take(distinct(boxes, scores, OVERLAP))


def distinct(boxes: Boxes, scores: Scores, overlap: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of the boxes to keep, best first.

    A box goes when its intersection over union with a kept one of higher score is above
    ``overlap``.

    >>> boxes = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
    >>> distinct(boxes, np.float32([0.5, 0.9, 0.4]), 0.3).tolist()
    [1, 2]
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while left.size:
        kept.append(left[0])
        left = left[1:][iou(boxes[left[:1]], boxes[left[1:]])[0] <= overlap]
    return np.asarray(kept, np.intp)


def _parts(group: list[int], sides: tuple[int, int], pixels: int) -> Iterator[list[int]]:
    count = max(1, pixels // (sides[0] * sides[1]))
    return (group[at : at + count] for at in range(0, len(group), count))
