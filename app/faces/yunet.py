"""YuNet: faces and five landmarks, from the network of OpenCV Zoo.

Method: Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research
2023, https://doi.org/10.1007/s11633-023-1423-y. Each cell of three maps, at an eighth, a 16th and a
32nd of the picture's resolution, says how likely a face belongs to it, and if so, where it lies.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import ModelError
from app.faces.centerface import distinct
from app.networks.sessions import Device, open_session
from app.packs.input_size import WHOLE, InputSize, enlarged, on_canvas, padded, restored
from app.types import Faces, Image, Size

STRIDES = (8, 16, 32)
"""Pixels per cell of the maps."""
KINDS = ("cls", "obj", "bbox", "kps")
"""Maps of each stride: is it a face, is its centre here (both 0..1), box, landmarks."""
OUTPUTS = tuple(f"{kind}_{stride}" for kind in KINDS for stride in STRIDES)
LARGEST_LOG = 6.0
"""Bound of the decoded log size in cells: 12,900 pixels; damaged values must not overflow."""
SMALLEST = 64
"""Pictures whose longer side is less are enlarged: the network does not see tiny faces."""
SCORE = 0.5
"""Below it hands are taken for faces; small faces pass it as often as 0.35 of CenterFace."""
OVERLAP = 0.3
"""Two boxes of higher intersection over union are one face; as published."""


class YuNet:
    """``FaceDetector`` over the network of OpenCV Zoo.

    Args:
        model: the file of weights, or its bytes; of the version of May 2026 or later, as older
            ones take pictures of one size only.
        threads: at most; default: the CPUs this process may use.
        score: faces of lower score are not returned, 0..1.
        device: where to run.
        whole: in which size whole pictures are looked at.

    Raises:
        ModelError: the file is not that network.
        DeviceError: the GPU that was asked for cannot be used.
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
        inputs = self._session.get_inputs()
        outputs = {output.name for output in self._session.get_outputs()}
        if len(inputs) != 1 or not outputs.issuperset(OUTPUTS):
            raise ModelError("the model is not YuNet: it has other inputs or outputs")
        if any(isinstance(side, int) for side in inputs[0].shape[2:]):
            fixed = "this YuNet takes pictures of one size only; take the version of May 2026"
            raise ModelError(fixed)
        self._input = inputs[0].name

    def input_size(self, size: Size) -> Size:
        """The size to give whole pictures of ``size`` in: see ``InputSize``.

        Raises:
            ValueError: the size is not positive.
        """
        return self._whole.of(size)

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """Faces of each picture, best first, in its own pixels; boxes may overhang it.

        Pictures of any sizes, run one by one, as the network has no batches. Content is never
        rescaled, but in pictures that are smaller than 64 pixels.

        Raises:
            ValueError: a picture is not (h, w, 3) uint8, or empty.
            ModelError: the runtime fails.
        """
        ready = [enlarged(image, SMALLEST) for image in images]
        return [
            restored(self._look(seen), seen, image)
            for seen, image in zip(ready, images, strict=True)
        ]

    def _look(self, image: Image) -> Faces:
        maps = self._run(on_canvas(image))
        groups = (maps[at : at + len(STRIDES)] for at in range(0, len(maps), len(STRIDES)))
        classes, centred, boxes, points = (np.concatenate(group, axis=1)[0] for group in groups)
        scores = np.sqrt(np.clip(classes, 0, 1) * np.clip(centred, 0, 1))[:, 0]
        likely = np.flatnonzero(scores > self._score)
        cells, steps = (
            values[likely] for values in _grid(padded(image.shape[0]), padded(image.shape[1]))
        )
        middle = (cells + boxes[likely, :2]) * steps
        half = np.exp(np.minimum(boxes[likely, 2:], LARGEST_LOG)) * steps / 2
        corners = np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)
        marks = (cells[:, None] + points[likely].reshape(-1, 5, 2)) * steps[:, None]
        faces = Faces(corners, scores[likely], marks.astype(np.float32))
        return faces.take(distinct(faces.boxes, faces.scores, OVERLAP))

    def _run(self, canvas: Image) -> list[NDArray[np.float32]]:
        """The maps ``OUTPUTS``, each (1, cells, values)."""
        # trained with OpenCV's pictures: blue comes first, and values are 0..255
        planes = np.ascontiguousarray(canvas[None, ..., ::-1].transpose(0, 3, 1, 2), np.float32)
        try:
            maps = self._session.run(OUTPUTS, {self._input: planes})
        except Exception as error:
            raise ModelError(f"YuNet failed on {planes.shape}: {error}") from error
        return [np.asarray(values, np.float32) for values in maps]


def _grid(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of each cell of all maps: (N, 2) column and row, and (N, 1) pixels per cell.

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
