"""A recogniser that embeds each chip together with its mirror image, over an ONNX network."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from app.errors import ModelError
from app.faces.chip_network import BATCH, check_chips, unit_length
from app.networks.sessions import Device, open_session
from app.types import Embeddings, Image, Landmarks


class MirroredNetwork:
    """``FaceRecogniser`` over a network from (n, chip, chip, 3) uint8 to (n, dimension).

    Args:
        model: the file of weights, or its bytes.
        threads: at most; default: the CPUs this process may use.
        mirror: embed the mirrored chip too and take the mean: twice the work, and turned faces come
            out more alike.
        device: where to run.

    Raises:
        ModelError: the runtime cannot load the network.
        DeviceError: the GPU that was asked for cannot be used.
    """

    name: ClassVar[str]
    """The name of the network in messages."""
    chip: ClassVar[int]
    length: ClassVar[int]
    points: ClassVar[tuple[tuple[float, float], ...]]
    """Eyes, nose and corners of the mouth in a chip, in pixels."""

    def __init__(
        self,
        model: Path | bytes,
        *,
        threads: int | None = None,
        mirror: bool = True,
        device: Device = "cpu",
    ) -> None:
        self._session = open_session(model, threads, device)
        self._mirror = mirror

    @property
    def chip_size(self) -> int:
        """Side of a chip in pixels."""
        return self.chip

    @property
    def template(self) -> Landmarks:
        """(5, 2) where the landmarks lie in a chip."""
        return np.asarray(self.points, np.float32)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self.length

    def embed(self, chips: Sequence[Image]) -> Embeddings:
        """Unit-length embeddings (N, dimension) of N chips (chip, chip, 3).

        Raises:
            ValueError: a chip has another shape.
            ModelError: the runtime fails.
        """
        check_chips(chips, self.chip)
        parts = [self._run(np.stack(chips[i : i + BATCH])) for i in range(0, len(chips), BATCH)]
        return unit_length(np.concatenate([np.zeros((0, self.length), np.float32), *parts]))

    def _run(self, batch: NDArray[np.uint8]) -> Embeddings:
        """Embeddings as the network gives them."""
        try:
            raw = self._session.run(["embeddings"], {"chips": batch})[0]
            if self._mirror:
                turned = np.ascontiguousarray(batch[:, :, ::-1])
                raw = (raw + self._session.run(["embeddings"], {"chips": turned})[0]) / 2
        except Exception as error:
            raise ModelError(f"{self.name} failed on {batch.shape}: {error}") from error
        return np.asarray(raw, np.float32)
