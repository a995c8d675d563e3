"""Face recognisers that ONNX Runtime runs: embeddings of aligned face chips.

There are two families. Recognisers on ArcFace's chip take float planes: the networks of the ONNX
model zoo and OpenCV Zoo. The networks that this project converts take uint8 images, and embed each
chip together with its mirror image.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.errors import ModelError
from app.networks import CPU, Runtime, open_session
from app.types import Embeddings, Image, Landmarks

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

_Points: TypeAlias = tuple[tuple[float, float], ...]

ARCFACE_CHIP: Final = 112
"""Side of ArcFace's chip in pixels."""
_ARCFACE_TEMPLATE: Final[_Points] = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Eyes, nose and corners of the mouth in ArcFace's chip, from left to right in the image."""
_BATCH: Final = 16
"""Chips in one run, which bounds the memory."""


class ArcFaceChipRecogniser:
    """``FaceRecogniser`` over a network from (n, 3, 112, 112) RGB 0..255 to (n, dimension).

    The five points of the chip are those that ArcFace and its successors were trained with: Deng et
    al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
    https://arxiv.org/abs/1801.07698.

    Args:
        model: the path or the bytes of an ONNX file.
        runtime: the device and the threads.

    Raises:
        ModelError: the file is not such a network.
        DeviceError: a GPU was requested, but cannot be used.
    """

    name: ClassVar[str]
    """The name of the network in messages."""
    required_dimension: ClassVar[int | None] = None
    """The length that embeddings must have; None for any."""

    def __init__(self, model: Path | bytes, *, runtime: Runtime = CPU) -> None:
        self._session = open_session(model, runtime)
        self._input = self._session.get_inputs()[0].name
        self._batch, self._dimension = _signature(self._session, self.name)
        if self.required_dimension not in {None, self._dimension}:
            expected = f"expected embeddings of {self.required_dimension} numbers"
            raise ModelError(f"the model is not {self.name}: {expected}, got {self._dimension}")

    @property
    def chip_size(self) -> int:
        """Side of a chip in pixels."""
        return ARCFACE_CHIP

    @property
    def template(self) -> Landmarks:
        """(5, 2) positions of the landmarks in a chip."""
        return np.asarray(_ARCFACE_TEMPLATE, np.float32)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self._dimension

    def embed(self, chips: Sequence[Image]) -> Embeddings:
        """Return unit-length embeddings (N, dimension) of N chips (112, 112, 3).

        Raises:
            ValueError: a chip has another shape.
            ModelError: the runtime fails.
        """
        _check_chips(chips, ARCFACE_CHIP)
        parts = [chips[at : at + self._batch] for at in range(0, len(chips), self._batch)]
        raw = np.zeros((0, self._dimension), np.float32)
        try:
            raw = np.concatenate([raw, *(self._run(part) for part in parts)])
        except Exception as error:
            raise ModelError(f"{self.name} failed on {len(chips)} chips: {error}") from error
        return _unit_length(raw)

    def _run(self, chips: Sequence[Image]) -> Embeddings:
        """Return the output of the network for one batch."""
        planes = np.ascontiguousarray(np.stack(chips).transpose(0, 3, 1, 2), np.float32)
        return np.asarray(self._session.run(None, {self._input: planes})[0], np.float32)


class ArcFace(ArcFaceChipRecogniser):
    """ArcFace on a ResNet of 100 layers, with 512 numbers, from the ONNX model zoo.

    ``arcfaceresnet100-8.onnx`` takes one chip at a time and scales it itself. Copies from before
    November 2021 must be converted with ``app.packs.convert.mxnet`` first: ONNX Runtime loads them,
    but fails when it runs them (https://github.com/onnx/models/pull/480).
    """

    name = "ArcFace"
    required_dimension = 512


class SFace(ArcFaceChipRecogniser):
    """SFace on a MobileFaceNet, with 128 numbers, from OpenCV Zoo.

    Method: Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition",
    https://arxiv.org/abs/2205.12010. ``face_recognition_sface_2021dec.onnx`` takes one chip at a
    time and scales it itself.
    """

    name = "SFace"
    required_dimension = 128


class MirroredRecogniser:
    """``FaceRecogniser`` over a network from (n, chip, chip, 3) uint8 to (n, dimension).

    Args:
        model: the path or the bytes of an ONNX file.
        mirror: also embed the mirrored chip, and return the mean. This takes twice as long, and
            makes embeddings of turned faces more similar.
        runtime: the device and the threads.

    Raises:
        ModelError: the runtime cannot load the network.
        DeviceError: a GPU was requested, but cannot be used.
    """

    name: ClassVar[str]
    """The name of the network in messages."""
    chip_side: ClassVar[int]
    """Side of a chip in pixels."""
    embedding_length: ClassVar[int]
    template_points: ClassVar[_Points]
    """Eyes, nose and corners of the mouth in a chip, in pixels."""

    def __init__(
        self,
        model: Path | bytes,
        *,
        mirror: bool = True,
        runtime: Runtime = CPU,
    ) -> None:
        self._session = open_session(model, runtime)
        self._mirror = mirror

    @property
    def chip_size(self) -> int:
        """Side of a chip in pixels."""
        return self.chip_side

    @property
    def template(self) -> Landmarks:
        """(5, 2) positions of the landmarks in a chip."""
        return np.asarray(self.template_points, np.float32)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self.embedding_length

    def embed(self, chips: Sequence[Image]) -> Embeddings:
        """Return unit-length embeddings (N, dimension) of N chips (chip, chip, 3).

        Raises:
            ValueError: a chip has another shape.
            ModelError: the runtime fails.
        """
        _check_chips(chips, self.chip_side)
        parts = [self._run(np.stack(chips[i : i + _BATCH])) for i in range(0, len(chips), _BATCH)]
        empty = np.zeros((0, self.embedding_length), np.float32)
        return _unit_length(np.concatenate([empty, *parts]))

    def _run(self, batch: NDArray[np.uint8]) -> Embeddings:
        """Return the output of the network for one batch."""
        try:
            raw = self._session.run(["embeddings"], {"chips": batch})[0]
            if self._mirror:
                mirrored = np.ascontiguousarray(batch[:, :, ::-1])
                raw = (raw + self._session.run(["embeddings"], {"chips": mirrored})[0]) / 2
        except Exception as error:
            raise ModelError(f"{self.name} failed on {batch.shape}: {error}") from error
        return np.asarray(raw, np.float32)


class DlibResnet(MirroredRecogniser):
    """dlib's face recognition ResNet.

    The chip is dlib's (150 pixels, 0.25 padding around the face), but aligned by the five landmarks
    of a detector. The template is their mean position in chips that dlib itself aligned.
    """

    name = "dlib ResNet"
    chip_side = 150
    embedding_length = 128
    template_points = ((46.7, 50.2), (102.9, 48.5), (73.9, 77.3), (50.9, 104.5), (97.5, 103.4))


_REIDENTIFICATION_TEMPLATE: Final[_Points] = (
    (0.31556875, 0.46157411),
    (0.68262292, 0.46157411),
    (0.5002625, 0.64050536),
    (0.34947187, 0.82469196),
    (0.65343646, 0.82469196),
)
"""As fractions of the chip's side, as published."""


class Reidentification(MirroredRecogniser):
    """face-reidentification-retail-0095 of Intel's Open Model Zoo.

    A MobileNetV2 with squeeze-excitation, compared by cosine. Description, and the landmarks of its
    chips: https://docs.openvino.ai/2023.3/omz_models_model_face_reidentification_retail_0095.html
    """

    name = "face-reidentification-retail-0095"
    chip_side = 128
    embedding_length = 256
    template_points = tuple((x * 128, y * 128) for x, y in _REIDENTIFICATION_TEMPLATE)


def _check_chips(chips: Sequence[Image], side: int) -> None:
    """Check that chips are (side, side, 3) uint8.

    Raises:
        ValueError: a chip has another shape or type.
    """
    expected = (side, side, 3)
    for chip in chips:
        if chip.shape != expected or chip.dtype != np.uint8:
            raise ValueError(f"chip: expected {expected} uint8, got {chip.shape} {chip.dtype}")


def _unit_length(raw: Embeddings) -> Embeddings:
    """Scale embeddings (N, D) to length 1; those of length 0 stay the same."""
    lengths = np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12)
    return np.asarray(raw / lengths, np.float32)


def _signature(session: "onnxruntime.InferenceSession", name: str) -> tuple[int, int]:
    """Return how many chips a network takes at once, and the length of its embeddings.

    Raises:
        ModelError: the network does not map chips to embeddings.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) == 1 and len(outputs) == 1:
        batch, *planes = inputs[0].shape
        dimension = outputs[0].shape[-1]
        single = batch == 1
        any_size = not isinstance(batch, int)  # the batch has a name, or None
        if (
            planes == [3, ARCFACE_CHIP, ARCFACE_CHIP]
            and isinstance(dimension, int)
            and (single or any_size)
        ):
            return (1 if single else _BATCH), dimension
    shapes = [item.shape for item in (*inputs, *outputs)]
    wanted = f"one input (n, 3, {ARCFACE_CHIP}, {ARCFACE_CHIP}) and one output (n, dimension)"
    raise ModelError(f"the model is not {name}: expected {wanted}, got {shapes}")
