"""Records, array aliases and the contracts of the parts.

Arrays: an image is ``(h, w, 3)`` uint8 RGB; boxes are ``(N, 4)`` float32, ``x1, y1, x2, y2`` in
pixels of the upright picture, and may overhang it. Frames count from 0 in presentation order.
Time is exact: integer pts in units of a ``Fraction`` time base.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BufferedReader
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
Luma: TypeAlias = NDArray[np.float32]
Boxes: TypeAlias = NDArray[np.float32]
Scores: TypeAlias = NDArray[np.float32]
Landmarks: TypeAlias = NDArray[np.float32]
Embeddings: TypeAlias = NDArray[np.float32]
Size: TypeAlias = tuple[int, int]
"""Width and height, in pixels."""
Region: TypeAlias = tuple[int, int, int, int]
"""``x1, y1, x2, y2`` in whole pixels inside the picture; ``x2`` and ``y2`` are exclusive."""
Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with the name of a stage, the number of units done, and the number expected (None:
unknown). Cheap enough for every frame; an exception that it raises stops the work."""


def _check_shape(name: str, array: NDArray[Any], expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise ValueError(f"{name}: expected shape {expected}, got {array.shape}")


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of one picture, as parallel arrays.

    ``boxes`` (N, 4) float32 xyxy pixels; ``scores`` (N,) float32 in 0..1; ``landmarks`` (N, 5, 2)
    float32 pixels (x, y): left eye, right eye, nose, left and right mouth corner *as seen in the
    picture* (the left eye is the one further left of an upright face).

    Raises:
        ValueError: the arrays do not have these shapes.
    """

    boxes: Boxes
    scores: Scores
    landmarks: Landmarks

    def __post_init__(self) -> None:
        count = len(self.boxes)
        _check_shape("boxes", self.boxes, (count, 4))
        _check_shape("scores", self.scores, (count,))
        _check_shape("landmarks", self.landmarks, (count, 5, 2))

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def empty(cls) -> Self:
        """No faces."""
        return cls(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
        )

    def take(self, index: NDArray[Any] | Sequence[int]) -> "Faces":
        """The faces at ``index`` (indices or a boolean mask)."""
        chosen = np.asarray(index)
        if chosen.size == 0:
            return Faces.empty()
        return Faces(self.boxes[chosen], self.scores[chosen], self.landmarks[chosen])

    def moved(self, scale: tuple[float, float], offset: tuple[float, float]) -> "Faces":
        """Faces in other coordinates: ``x * scale + offset``, per axis (x, y)."""
        factor, shift = np.asarray(scale, np.float32), np.asarray(offset, np.float32)
        return Faces(
            self.boxes * np.tile(factor, 2) + np.tile(shift, 2),
            self.scores,
            self.landmarks * factor + shift,
        )


class MediaFile(Protocol):
    """A file to read from, as often as needed: a ``Path``, or one that lies elsewhere.

    ``str`` of it is what messages call it. What reading from elsewhere raises is an error of
    ours, never an ``OSError``.
    """

    @property
    def name(self) -> str:
        """What a plan calls it."""

    def exists(self) -> bool:
        """Whether it is there."""

    def is_file(self) -> bool:
        """Whether reading from it comes to an end."""

    def open(self, mode: Literal["rb"], /) -> BufferedReader:
        """A reader of its own, at the first byte."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane of a picture, as a writable view that is already upright.

    ``pixels`` is (h, w) or (h, w, c), uint8 or uint16. The picture's pixel (x, y) lies at
    ``pixels[y >> shift_y, x >> shift_x]``. ``black`` is the value of black, one for each channel.
    """

    pixels: NDArray[Any]
    shift_x: int
    shift_y: int
    black: tuple[int, ...]


class Frame(Protocol):
    """One decoded picture. Coordinates are of the upright picture."""

    @property
    def index(self) -> int:
        """Number in presentation order, from 0."""

    @property
    def pts(self) -> int:
        """Presentation time in units of the source's time base."""

    @property
    def size(self) -> Size:
        """Width and height of the upright picture."""

    def rgb(self, size: Size | None = None, region: Region | None = None) -> Image:
        """A copy as RGB: of ``region`` (default: all), scaled to ``size`` (default: as it is)."""

    def luma(self, size: Size, region: Region) -> Luma:
        """How light ``region`` is, averaged to ``size``: 16 or 0 is black, 235 or 255 white."""

    def quantiser(self, region: Region) -> float | None:
        """The mean quantiser of ``region`` on the scale of H.264, 0..51; None where it is unknown.

        Larger ones leave less detail: 6 more double the step.
        """

    def planes(self) -> tuple[Plane, ...]:
        """Writable views of the planes; what is written is what a sink encodes."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What is known of a file before its frames are read. ``frames`` is None when unknown."""

    size: Size
    time_base: Fraction
    rate: Fraction
    duration: Fraction
    frames: int | None
    is_image: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames that need no other ones to be decoded, numbers ``first`` to ``end`` (exclusive).

    They are shown from ``start`` to ``last`` (inclusive), pts in units of the source's time base.
    """

    first: int
    end: int
    start: int
    last: int


class FrameSource(Protocol):
    """Frames in presentation order; each iteration starts again at the first frame.

    Raises ``MediaError`` for a frame that cannot be decoded: none is skipped in silence.
    """

    @property
    def info(self) -> MediaInfo:
        """What is known of the file before its frames are read."""

    def __iter__(self) -> Iterator[Frame]: ...


class PartialSource(FrameSource, Protocol):
    """Frames of a file, of which some can be left out."""

    def only(self, stretches: Sequence[Stretch]) -> Iterator[Frame]:
        """The frames of some stretches, in order, with the numbers they have among all."""


class FrameSink(Protocol):
    """Takes every frame of a source, in order, and puts a finished file in place, or nothing.

    Leaving the context without ``commit`` (or with an exception) removes all that was written.
    """

    def write(self, frame: Frame, boxes: Boxes) -> None:
        """Encode ``frame``, in which ``boxes`` (N, 4) have been hidden already."""

    def commit(self) -> None:
        """Finish the file, check it, and move it to its final name."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ShotDetector(Protocol):
    """Finds cuts. A cut is the index of the first frame of the new shot; frame 0 is none."""

    @property
    def latency(self) -> int:
        """How many later frames may have to be pushed before a cut is told."""

    def push(self, frame: Frame) -> list[int]:
        """Take the next frame; return the cuts that are certain now."""

    def flush(self) -> list[int]:
        """No more frames: return the last cuts, and be ready for another video."""


class FaceDetector(Protocol):
    """Finds faces in pictures."""

    def input_size(self, size: Size) -> Size:
        """The size, of about the same shape, in which whole pictures of ``size`` are best given."""

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """A batch of images of any sizes in, one ``Faces`` each, in pixels of its image."""


class FaceRecogniser(Protocol):
    """Tells people apart by aligned chips of their faces."""

    @property
    def chip_size(self) -> int:
        """Side of a chip in pixels."""

    @property
    def template(self) -> Landmarks:
        """(5, 2) where the landmarks lie in a chip."""

    @property
    def dimension(self) -> int:
        """Length of an embedding."""

    def embed(self, chips: Sequence[Image]) -> Embeddings:
        """``(chip_size, chip_size, 3)`` chips in, (N, dimension) unit-length embeddings out."""


class Effect(Protocol):
    """Hides boxed regions in place and touches no pixel outside its mask."""

    def hide(self, planes: Sequence[Plane], boxes: Boxes) -> None:
        """Hide each of the (N, 4) boxes, margin included; they may overhang the picture."""
