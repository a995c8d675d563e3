"""dlib's face recognition ResNet, run by ONNX Runtime.

The chip is that of dlib (150 pixels, 0.25 padding around the face), but aligned by a detector's
five landmarks: the template is where they lie on average in chips that dlib itself aligned.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import ModelError
from app.networks.sessions import Device, open_session
from app.types import Embeddings, Image, Landmarks

CHIP = 150
DIMENSION = 128
BATCH = 16
"""Chips in one run: memory stays bounded, and larger batches are not faster."""
TEMPLATE = ((46.7, 50.2), (102.9, 48.5), (73.9, 77.3), (50.9, 104.5), (97.5, 103.4))


class DlibResnet:
    """``FaceRecogniser`` over the converted ResNet.

    Args:
        model: the file of weights, or its bytes.
        threads: at most; default: the CPUs this process may use.
        mirror: embed the mirrored chip too and take the mean: twice the work, and on the public
            portraits neither better nor worse.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        threads: int | None = None,
        mirror: bool = False,
        device: Device = "cpu",
    ) -> None:
        self._session = open_session(model, threads, device)
        self._mirror = mirror

    @property
    def chip_size(self) -> int:
        """Side of a chip in pixels."""
        return CHIP

    @property
    def template(self) -> Landmarks:
        """(5, 2) where the landmarks lie in a chip."""
        return np.asarray(TEMPLATE, np.float32)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return DIMENSION

    def embed(self, chips: Sequence[Image]) -> Embeddings:
        """Unit-length embeddings (N, 128) of N chips (150, 150, 3).

        Raises:
            ValueError: a chip has another shape.
            ModelError: the runtime fails.
        """
        for chip in chips:
            if chip.shape != (CHIP, CHIP, 3) or chip.dtype != np.uint8:
                expected = f"({CHIP}, {CHIP}, 3) uint8"
                raise ValueError(f"chip: expected {expected}, got {chip.shape} {chip.dtype}")
        parts = [self._run(np.stack(chips[i : i + BATCH])) for i in range(0, len(chips), BATCH)]
        raw = np.concatenate([np.zeros((0, DIMENSION), np.float32), *parts])
        lengths = np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12)
        return np.asarray(raw / lengths, np.float32)

    def _run(self, batch: NDArray[np.uint8]) -> Embeddings:
        """Embeddings as the network gives them."""
        try:
            raw = self._session.run(["embeddings"], {"chips": batch})[0]
            if self._mirror:
                turned = np.ascontiguousarray(batch[:, :, ::-1])
                raw = (raw + self._session.run(["embeddings"], {"chips": turned})[0]) / 2
        except Exception as error:
            raise ModelError(f"dlib ResNet failed on {batch.shape}: {error}") from error
        return np.asarray(raw, np.float32)
