"""The CenterFace detector, over the converted network.

Method: Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point",
https://arxiv.org/abs/1911.03599. The output is a map at a quarter of the image's resolution. Each
cell has the probability that a face is centred in it, and the face's size, offset and landmarks.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.errors import ModelError
from app.faces.resizing import enlarge_small, padded_side, to_original
from app.geometry import suppress_overlaps
from app.networks import CPU, Runtime, is_on_gpu, open_session
from app.packs.description import COMMON_SCORE, DEFAULT_INPUT_SIZE, InputSize
from app.types import Faces, Image, Size

_STRIDE: Final = 4
"""Pixels per cell of the maps."""
_MAX_LOG_SIDE: Final = 8.0
"""Bound of the log side, 12,000 pixels, so that damaged values do not overflow."""
_MAX_IOU: Final = 0.3
"""Boxes with a higher intersection over union are the same face; as published."""
_BATCH_PIXELS: Final = 1 << 17
"""Pixels in one run, which bounds the memory. Larger batches are not faster."""
_GPU_BATCH_PIXELS: Final = 1 << 22
"""The same for a GPU, where larger batches are faster. A pixel takes about 200 bytes (counted on a
CPU), so that a batch takes less than half of ``networks.GPU_BYTES``."""


class CenterFace:
    """``FaceDetector`` over the converted CenterFace network.

    Args:
        model: the path or the bytes of an ONNX file.
        score: the lowest score of the faces to return, 0..1.
        runtime: the device and the threads.
        input_size: the size to which frames should be scaled.
    """

    is_reentrant = True

    def __init__(
        self,
        model: Path | bytes,
        *,
        score: float = COMMON_SCORE,
        runtime: Runtime = CPU,
        input_size: InputSize = DEFAULT_INPUT_SIZE,
    ) -> None:
        if not 0 < score < 1:
            raise ValueError(f"score: expected between 0 and 1, got {score}")
        self._session = open_session(model, runtime)
        self._score, self._input_size = score, input_size
        self._batch = _GPU_BATCH_PIXELS if is_on_gpu(self._session) else _BATCH_PIXELS

    def input_size(self, size: Size) -> Size:
        """Return the size to which frames of ``size`` should be scaled; see ``InputSize``.

        Raises:
            ValueError: the size is not positive.
        """
        return self._input_size.of(size)

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """Return the faces of each image, best first, in its pixels.

        Boxes may extend beyond the image. Images that have the same size when padded to multiples
        of 32 are run together. Images are not scaled, except those smaller than 64 pixels.

        Raises:
            ValueError: an image is not (h, w, 3) uint8, or is empty.
            ModelError: the runtime fails.
        """
        ready = [enlarge_small(image) for image in images]
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, image in enumerate(ready):
            groups[padded_side(image.shape[0]), padded_side(image.shape[1])].append(index)
        results: dict[int, Faces] = {}
        for sides, group in groups.items():
            for part in _batches(group, sides, self._batch):
                maps = self._run([ready[index] for index in part], sides)
                results.update(zip(part, (self._decode(one) for one in maps), strict=True))
        return [to_original(results[i], ready[i], image) for i, image in enumerate(images)]

    def _run(self, images: list[Image], sides: tuple[int, int]) -> NDArray[np.float32]:
        batch = np.zeros((len(images), *sides, 3), np.uint8)
        for row, image in zip(batch, images, strict=True):
            row[: image.shape[0], : image.shape[1]] = image
        try:
            return np.asarray(self._session.run(["maps"], {"images": batch})[0], np.float32)
        except Exception as error:
            raise ModelError(f"CenterFace failed on {batch.shape}: {error}") from error

    def _decode(self, maps: NDArray[np.float32]) -> Faces:
        """Decode the faces of one (15, h, w) map."""
        rows, columns = np.nonzero(maps[0] > math.log(self._score / (1 - self._score)))
        values = maps[:, rows, columns]
        scores = (1 / (1 + np.exp(-np.clip(values[0], -50, 50)))).astype(np.float32)
        sides = np.exp(np.minimum(values[1:3], _MAX_LOG_SIDE)) * _STRIDE
        middle = (np.stack([rows, columns]) + values[3:5] + 0.5) * _STRIDE
        corner = middle - sides / 2
        boxes = np.concatenate([corner[::-1], (corner + sides)[::-1]]).T.astype(np.float32)
        points = values[5:].reshape(5, 2, -1) * sides + corner
        landmarks = points[:, ::-1].transpose(2, 0, 1).astype(np.float32)
        return Faces(boxes, scores, landmarks).take(suppress_overlaps(boxes, scores, _MAX_IOU))


def _batches(group: list[int], sides: tuple[int, int], pixels: int) -> Iterator[list[int]]:
    """Split a group of images of the same sides into batches of at most ``pixels`` pixels."""
    count = max(1, pixels // (sides[0] * sides[1]))
    return (group[at : at + count] for at in range(0, len(group), count))
