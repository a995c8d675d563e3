"""What the recognisers on ArcFace's chips share: the chip, and a network over it.

Chips are 112 x 112 pixels, aligned to the five points that ArcFace and its successors were trained
with: Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
https://arxiv.org/abs/1801.07698.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from app.errors import ModelError
from app.networks.sessions import Device, open_session
from app.types import Embeddings, Image, Landmarks

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

CHIP = 112
"""Side of a chip in pixels."""
TEMPLATE = (
    (38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655),
    (70.7299, 92.2041),
)  # fmt: skip
"""Eyes, nose and corners of the mouth in a chip, as seen in the picture."""
BATCH = 16
"""Chips in one run, where the network has batches: memory stays bounded."""


class ChipNetwork:
    """``FaceRecogniser`` over a network from (n, 3, 112, 112) RGB 0..255 to (n, dimension).

    Args:
        model: the file of weights, or its bytes.
        threads: at most; default: the CPUs this process may use.
        device: where to run.

    Raises:
        ModelError: the file is not such a network.
        DeviceError: the GPU that was asked for cannot be used.
    """

    name: ClassVar[str]
    """What messages call the network."""
    length: ClassVar[int | None] = None
    """The dimension that the network must have; None: any."""

    def __init__(
        self, model: Path | bytes, *, threads: int | None = None, device: Device = "cpu"
    ) -> None:
        self._session = open_session(model, threads, device)
        self._input = self._session.get_inputs()[0].name
        self._batch, self._dimension = _signature(self._session, self.name)
        if self.length not in {None, self._dimension}:
            got = f"expected {self.length} numbers for a chip, got {self._dimension}"
            raise ModelError(f"the model is not {self.name}: {got}")

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
        return self._dimension

    def embed(self, chips: Sequence[Image]) -> Embeddings:
        """Unit-length embeddings (N, dimension) of N chips (112, 112, 3).

        Raises:
            ValueError: a chip has another shape.
            ModelError: the runtime fails.
        """
        check_chips(chips, CHIP)
        parts = [chips[at : at + self._batch] for at in range(0, len(chips), self._batch)]
        raw = np.zeros((0, self._dimension), np.float32)
        try:
            raw = np.concatenate([raw, *(self._run(part) for part in parts)])
        except Exception as error:
            raise ModelError(f"{self.name} failed on {len(chips)} chips: {error}") from error
        return unit_length(raw)

    def _run(self, chips: Sequence[Image]) -> Embeddings:
        """Embeddings of one batch as the network gives them."""
        planes = np.ascontiguousarray(np.stack(chips).transpose(0, 3, 1, 2), np.float32)
        return np.asarray(self._session.run(None, {self._input: planes})[0], np.float32)


def check_chips(chips: Sequence[Image], side: int) -> None:
    """Refuse chips that are not (side, side, 3) uint8.

    Raises:
        ValueError: a chip has another shape.
    """
    expected = (side, side, 3)
    for chip in chips:
        if chip.shape != expected or chip.dtype != np.uint8:
            raise ValueError(f"chip: expected {expected} uint8, got {chip.shape} {chip.dtype}")


def unit_length(raw: Embeddings) -> Embeddings:
    """Embeddings (N, D) scaled to length 1; those of length 0 stay."""
    lengths = np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12)
    return np.asarray(raw / lengths, np.float32)


def _signature(session: "onnxruntime.InferenceSession", name: str) -> tuple[int, int]:
    """How many chips to give a network at once, and the length of what it gives for each.

    Raises:
        ModelError: it does not go from chips to embeddings.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) == 1 and len(outputs) == 1:
        batch, *planes = inputs[0].shape
        dimension = outputs[0].shape[-1]
        # a batch of any size is a name, or nothing
        single = batch == 1
        if (
            planes == [3, CHIP, CHIP]
            and isinstance(dimension, int)
            and (single or not isinstance(batch, int))
        ):
            return (1 if single else BATCH), dimension
    shapes = [item.shape for item in (*inputs, *outputs)]
    wanted = f"one input (n, 3, {CHIP}, {CHIP}) and one output (n, dimension)"
    raise ModelError(f"the model is not {name}: expected {wanted}, got {shapes}")
