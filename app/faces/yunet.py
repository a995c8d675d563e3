"""The YuNet detector, over the network of OpenCV Zoo.

Method: Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research
2023, https://doi.org/10.1007/s11633-023-1423-y. The output is three maps at 1/8, 1/16 and 1/32 of
the image's resolution. Each cell has the probability of a face, and its box and landmarks.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.errors import ModelError
from app.faces.resizing import enlarge_small, pad_image, padded_side, to_original
from app.geometry import suppress_overlaps
from app.networks import CPU, Runtime, open_session
from app.packs.description import DEFAULT_INPUT_SIZE, InputSize
from app.types import Faces, Image, Size

STRIDES: Final = (8, 16, 32)
"""Pixels per cell of the maps."""
_MAP_KINDS: Final = ("cls", "obj", "bbox", "kps")
"""The maps of each stride: probability of a face, probability that its centre is in this cell, box,
and landmarks."""
OUTPUTS: Final = tuple(f"{kind}_{stride}" for kind in _MAP_KINDS for stride in STRIDES)
_MAX_LOG_SIDE: Final = 6.0
"""Bound of the log side in cells, 12,900 pixels, so that damaged values do not overflow."""
DEFAULT_SCORE: Final = 0.5
"""With a lower score, hands are mistaken for faces. Small faces exceed it as often as they exceed
0.35 with CenterFace."""
_MAX_IOU: Final = 0.3
"""Boxes with a higher intersection over union are the same face; as published."""


class YuNet:
    """``FaceDetector`` over the network of OpenCV Zoo.

    Args:
        model: the path or the bytes of an ONNX file, of the version of May 2026 or later. Older
            versions accept one image size only.
        score: the lowest score of the faces to return, 0..1.
        runtime: the device and the threads.
        input_size: the size to which frames should be scaled.

    Raises:
        ModelError: the file is not YuNet.
        DeviceError: a GPU was requested, but cannot be used.
    """

    is_reentrant = True

    def __init__(
        self,
        model: Path | bytes,
        *,
        score: float = DEFAULT_SCORE,
        runtime: Runtime = CPU,
        input_size: InputSize = DEFAULT_INPUT_SIZE,
    ) -> None:
        if not 0 < score < 1:
            raise ValueError(f"score: expected between 0 and 1, got {score}")
        self._session = open_session(model, runtime)
        self._score, self._input_size = score, input_size
        inputs = self._session.get_inputs()
        outputs = {output.name for output in self._session.get_outputs()}
        if len(inputs) != 1 or not outputs.issuperset(OUTPUTS):
            raise ModelError("the model is not YuNet: it has other inputs or outputs")
        if any(isinstance(side, int) for side in inputs[0].shape[2:]):
            fixed = "this YuNet accepts one image size only; use the version of May 2026"
            raise ModelError(fixed)
        self._input = inputs[0].name

    def input_size(self, size: Size) -> Size:
        """Return the size to which frames of ``size`` should be scaled; see ``InputSize``.

        Raises:
            ValueError: the size is not positive.
        """
        return self._input_size.of(size)

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """Return the faces of each image, best first, in its pixels.

        Boxes may extend beyond the image. Images are run one by one, because the network has no
        batches. They are not scaled, except those smaller than 64 pixels.

        Raises:
            ValueError: an image is not (h, w, 3) uint8, or is empty.
            ModelError: the runtime fails.
        """
        ready = [enlarge_small(image) for image in images]
        return [
            to_original(self._detect(enlarged), enlarged, image)
            for enlarged, image in zip(ready, images, strict=True)
        ]

    def _detect(self, image: Image) -> Faces:
        maps = self._run(pad_image(image))
        groups = (maps[at : at + len(STRIDES)] for at in range(0, len(maps), len(STRIDES)))
        classes, centred, boxes, points = (np.concatenate(group, axis=1)[0] for group in groups)
        scores = np.sqrt(np.clip(classes, 0, 1) * np.clip(centred, 0, 1))[:, 0]
        likely = np.flatnonzero(scores > self._score)
        cells, steps = (
            values[likely]
            for values in _grid(padded_side(image.shape[0]), padded_side(image.shape[1]))
        )
        middle = (cells + boxes[likely, :2]) * steps
        half = np.exp(np.minimum(boxes[likely, 2:], _MAX_LOG_SIDE)) * steps / 2
        corners = np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)
        marks = (cells[:, None] + points[likely].reshape(-1, 5, 2)) * steps[:, None]
        faces = Faces(corners, scores[likely], marks.astype(np.float32))
        return faces.take(suppress_overlaps(faces.boxes, faces.scores, _MAX_IOU))

    def _run(self, canvas: Image) -> list[NDArray[np.float32]]:
        """Return the maps ``OUTPUTS``, each (1, cells, values)."""
        # The network was trained with OpenCV's images: BGR, 0..255.
        planes = np.ascontiguousarray(canvas[None, ..., ::-1].transpose(0, 3, 1, 2), np.float32)
        try:
            maps = self._session.run(OUTPUTS, {self._input: planes})
        except Exception as error:
            raise ModelError(f"YuNet failed on {planes.shape}: {error}") from error
        return [np.asarray(values, np.float32) for values in maps]


def _grid(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the column and row (N, 2), and the pixels per cell (N, 1), of all cells.

    >>> cells, steps = _grid(32, 32)
    >>> cells[[1, 4, 16, -1]].tolist(), steps[[0, 16, 20], 0].tolist()
    ([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]], [8.0, 16.0, 32.0])
    """
    cells, steps = [], []
    for stride in STRIDES:
        rows, columns = np.divmod(
            np.arange((height // stride) * (width // stride)), width // stride
        )
        cells.append(np.stack([columns, rows], axis=1))
        steps.append(np.full((len(rows), 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(steps).astype(np.float32)
