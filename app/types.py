"""Shared records, array aliases and the protocols of the replaceable parts.

Arrays: an image is ``(h, w, 3)`` uint8 RGB. Boxes are ``(N, 4)`` float32, ``x1, y1, x2, y2`` in
pixels of the upright frame, and may extend beyond it. Frames count from 0 in presentation order.
Time is exact: integer pts in units of a ``Fraction`` time base.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BufferedReader
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
Opacity: TypeAlias = NDArray[np.uint8]
"""``(h, w)``: 0 is transparent, 255 opaque."""
Luma: TypeAlias = NDArray[np.float32]
Boxes: TypeAlias = NDArray[np.float32]
Scores: TypeAlias = NDArray[np.float32]
Landmarks: TypeAlias = NDArray[np.float32]
Embeddings: TypeAlias = NDArray[np.float32]
Size: TypeAlias = tuple[int, int]
"""Width and height, in pixels."""
Region: TypeAlias = tuple[int, int, int, int]
"""``x1, y1, x2, y2`` in whole pixels inside the frame; ``x2`` and ``y2`` are exclusive."""
Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with the name of a stage, the number of units done, and the number expected (None:
unknown). Cheap enough for every frame; an exception that it raises stops the work."""


def _check_shape(name: str, array: NDArray[Any], expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise ValueError(f"{name}: expected shape {expected}, got {array.shape}")


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of one image, as parallel arrays.

    ``boxes`` (N, 4) float32 xyxy pixels; ``scores`` (N,) float32 in 0..1; ``landmarks`` (N, 5, 2)
    float32 pixels (x, y): left eye, right eye, nose, left and right mouth corner *as seen in the
    image* (the left eye of an upright face is the one further left).

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
        """Return a record without faces."""
        return cls(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
        )

    def take(self, index: NDArray[Any] | Sequence[int]) -> "Faces":
        """Return the faces at ``index`` (indices or a boolean mask)."""
        chosen = np.asarray(index)
        if chosen.size == 0:
            return Faces.empty()
        return Faces(self.boxes[chosen], self.scores[chosen], self.landmarks[chosen])

    def moved(self, scale: tuple[float, float], offset: tuple[float, float]) -> "Faces":
        """Return the faces in other coordinates: ``x * scale + offset``, per axis (x, y)."""
        factor, shift = np.asarray(scale, np.float32), np.asarray(offset, np.float32)
        return Faces(
            self.boxes * np.tile(factor, 2) + np.tile(shift, 2),
            self.scores,
            self.landmarks * factor + shift,
        )


class MediaFile(Protocol):
    """A file that can be read any number of times: a ``Path``, or a remote file.

    Messages name it by its ``str``. Reading a remote file raises errors of this package, never an
    ``OSError``.
    """

    @property
    def name(self) -> str:
        """The file name, as written to a plan."""

    def exists(self) -> bool:
        """Return whether the file exists."""

    def is_file(self) -> bool:
        """Return whether it is a regular file, whose data ends."""

    def open(self, mode: Literal["rb"], /) -> BufferedReader:
        """Return a new, independent reader at the first byte."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane of a frame, as a writable view that is already upright.

    ``pixels`` is (h, w) or (h, w, c), uint8 or uint16. The pixel (x, y) of the frame lies at
    ``pixels[y >> shift_y, x >> shift_x]``. ``black`` has the value of black for each channel. A
    plane of opacity (``is_alpha``) has that of full opacity instead, which is what hides there.
    """

    pixels: NDArray[Any]
    shift_x: int
    shift_y: int
    black: tuple[int, ...]
    is_alpha: bool = False


class Frame(Protocol):
    """One decoded frame. Coordinates are those of the upright frame."""

    @property
    def index(self) -> int:
        """The number in presentation order, from 0."""

    @property
    def pts(self) -> int:
        """The presentation time in units of the source's time base."""

    @property
    def size(self) -> Size:
        """Width and height of the upright frame."""

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel divided by its height, as the upright frame is shown; usually 1."""

    def rgb(self, size: Size | None = None, region: Region | None = None) -> Image:
        """Return a copy of ``region`` (default: all) as RGB, scaled to ``size`` if given."""

    def luma(self, size: Size, region: Region) -> Luma:
        """Return the luma of ``region`` averaged to ``size``: black 0 or 16, white 235 or 255."""

    def quantiser(self, region: Region) -> float | None:
        """Return the mean quantiser of ``region`` on the scale of H.264, 0..51; None if unknown.

        Larger values keep less detail: 6 more double the quantiser step.
        """

    def planes(self) -> tuple[Plane, ...]:
        """Return writable views of the planes. A sink encodes what is written to them.

        Opacity is one of them if the result will have it.
        """


@runtime_checkable
class SeeThroughFrame(Protocol):
    """A frame that may be transparent; an addition to ``Frame`` that only images have."""

    def opacity(self, size: Size | None = None, region: Region | None = None) -> Opacity | None:
        """Return the opacity of ``region`` (default: all), scaled to ``size`` if given.

        None: all of the frame is opaque.
        """


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """Properties of a file that are known before decoding. ``frames`` is None if unknown."""

    size: Size
    time_base: Fraction
    rate: Fraction
    duration: Fraction
    frames: int | None
    is_image: bool


@dataclass(frozen=True, slots=True)
class Window:
    """The frames from ``begin`` until before ``end`` (None: the last one), in seconds.

    Times count from the first frame of the video.
    """

    begin: Fraction
    end: Fraction | None

    def ticks(self, start: int, base: Fraction) -> tuple[int, int | None]:
        """Return the first pts, and the pts after the last one; ``start`` is the first frame's."""
        begin = start - (-self.begin // base)
        return begin, None if self.end is None else start - (-self.end // base)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames ``first`` to ``end`` (exclusive), which can be decoded without other frames.

    Their pts run from ``start`` to ``last`` (inclusive), in units of the source's time base.
    """

    first: int
    end: int
    start: int
    last: int


class FrameSource(Protocol):
    """The frames of a file in presentation order. Each iteration starts at the first frame.

    Raises ``MediaError`` for a frame that cannot be decoded: no frame is skipped silently.
    """

    @property
    def info(self) -> MediaInfo:
        """Properties of the file that are known before decoding."""

    def __iter__(self) -> Iterator[Frame]: ...


class PartialSource(FrameSource, Protocol):
    """A source that can decode only parts of its file."""

    def only(self, stretches: Sequence[Stretch]) -> Iterator[Frame]:
        """Yield the frames of some stretches in order, with their numbers in the whole file."""


class FrameSink(Protocol):
    """Write every frame of a source, in order, to a complete file or to none.

    Leaving the context without ``commit`` (or with an exception) removes partial output.
    """

    def write(self, frame: Frame, boxes: Boxes) -> None:
        """Encode ``frame``, in which ``boxes`` (N, 4) are already hidden."""

    def commit(self) -> None:
        """Finish the file, verify it, and move it to its final name."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ShotDetector(Protocol):
    """Find cuts. A cut is the index of the first frame of a new shot; frame 0 is not a cut."""

    @property
    def latency(self) -> int:
        """Maximum number of later frames that must be pushed before a cut is reported."""

    def push(self, frame: Frame) -> list[int]:
        """Process the next frame; return the cuts that are certain now."""

    def flush(self) -> list[int]:
        """End the video: return the remaining cuts, and reset for another video."""


class FaceDetector(Protocol):
    """Find faces in images.

    It is called from several threads: by one at a time, unless it has the attribute
    ``is_reentrant`` and that is True.
    """

    def input_size(self, size: Size) -> Size:
        """Return the best input size for a frame of ``size``, of about the same aspect ratio."""

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """Return one ``Faces`` per image, in pixels of that image; image sizes may differ."""


class FaceRecogniser(Protocol):
    """Compute embeddings from chips: aligned face crops."""

    @property
    def chip_size(self) -> int:
        """Side of a chip in pixels."""

    @property
    def template(self) -> Landmarks:
        """Positions of the landmarks in a chip, (5, 2) pixels."""

    @property
    def dimension(self) -> int:
        """Length of an embedding."""

    def embed(self, chips: Sequence[Image]) -> Embeddings:
        """Return (N, dimension) unit-length embeddings of ``(chip_size, chip_size, 3)`` chips."""


class Effect(Protocol):
    """Hide faces in place, without touching any pixel outside the mask."""

    def hide(self, planes: Sequence[Plane], boxes: Boxes) -> None:
        """Hide each of the (N, 4) boxes, margin included; they may extend beyond the frame."""
