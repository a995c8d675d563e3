"""Every setting and its default, once: overrides > environment > TOML file > defaults.

``Settings`` are those of a run, ``ServiceSettings`` those that only the HTTP service has.

The environment names a setting in capitals after ``FACE_BLUR_``, as in ``FACE_BLUR_MARGIN``; TOML
spells it as it is here. A name that is not a setting is an error wherever it stands: a misspelt
option of a tool that hides faces would show some.
"""

import math
import os
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.errors import ConfigError

ENV_PREFIX = "FACE_BLUR_"

Choice: TypeAlias = Literal["listed", "others", "everyone"]


class Point(NamedTuple):
    """A face pointed at: the one at pixel (x, y) of the upright picture in frame ``frame``."""

    frame: int
    x: float
    y: float


def _points(value: object) -> object:
    """Points from text as ``FRAME,X,Y`` separated by semicolons; anything else as it is."""
    if not isinstance(value, str):
        return value
    points = tuple(tuple(point.split(",")) for point in value.split(";") if point.strip())
    if any(len(point) != 3 for point in points):
        raise ValueError(f"a face is pointed at by FRAME,X,Y, not {value!r}")
    return points


def _check_points(points: tuple[Point, ...]) -> tuple[Point, ...]:
    for point in points:
        if not all(0 <= number < math.inf for number in point):
            raise ValueError("FRAME,X,Y must be finite numbers, none of them negative")
    return points


Points: TypeAlias = Annotated[
    tuple[Point, ...], BeforeValidator(_points), AfterValidator(_check_points)
]


def _words(value: object) -> object:
    """Words from text with commas between them; anything else as it is."""
    if not isinstance(value, str):
        return value
    return tuple(word for part in value.split(",") if (word := part.strip()))


def _check_prefixes(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    for prefix in prefixes:
        if not prefix.startswith("s3://") or not prefix.endswith("/"):
            raise ValueError("a prefix is s3://BUCKET/ or s3://BUCKET/PREFIX/, with its last slash")
    return prefixes


Prefixes: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(_words), AfterValidator(_check_prefixes)
]


class _Checked(BaseSettings):
    """Settings that are checked when made, and take only what they are given."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=ENV_PREFIX)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(_explain(error)) from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the names are those of the base class
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what is passed: what comes from outside is the business of ``load``."""
        return (init_settings,)


class Settings(_Checked):
    """The effective settings of one run, checked when made.

    ``Settings(...)`` takes only what it is given; ``Settings.load`` also looks at the environment
    and at a TOML file.

    Raises:
        ConfigError: an unknown name, a value out of range, or two settings that contradict.

    """

    people: Path | None = Field(
        None, description="folder with reference photos: NAME/*.jpg or NAME.jpg for each person"
    )
    blur: Choice | None = Field(
        None,
        description="whom to hide: the people listed, the others, or everyone"
        " (default: listed if people or faces are given, otherwise everyone)",
    )
    unclear: Literal["hide", "keep"] = Field(
        "hide",
        description="with blur=listed: faces in which nobody can be recognised (in profile, too"
        " dark, too small, ...)",
    )
    select: Points = Field((), description="faces pointed at: FRAME,X,Y, several with semicolons")
    effect: Literal["blur", "pixelate", "solid"] = Field(
        "blur", description="what hides a face; solid leaves nothing to guess from"
    )
    shape: Literal["ellipse", "rectangle"] = Field(
        "ellipse", description="outline of a hidden face"
    )
    margin: float = Field(
        0.2, ge=0.1, le=1.0, description="added on each side of a face, as a fraction of it"
    )
    feather: float = Field(
        0.1,
        ge=0.0,
        le=0.5,
        description="soft edge around the margin, as a fraction of the face",
    )
    cells: int = Field(4, ge=1, le=4, description="cells per side that a face is reduced to")
    models: str = Field(
        "auto",
        min_length=1,
        description="model pack; auto takes the best one for commercial use that is ready",
    )
    detector: str | None = Field(
        None, min_length=1, description="pack whose detector finds faces (default: models)"
    )
    recogniser: str | None = Field(
        None, min_length=1, description="pack whose recogniser tells people apart (default: models)"
    )
    models_root: Path | None = Field(
        None, description="folder that holds the model packs (default: the installation's)"
    )
    precision: Literal["auto", "float", "int8"] = Field(
        "auto", description="arithmetic of the models"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the models run; auto takes a GPU where one works"
    )
    encoder: Literal["software", "auto", "nvenc"] = Field(
        "software", description="what encodes video; auto takes that of a GPU where one works"
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="CPU threads (default: as many as there are cores)"
    )
    quality: int = Field(90, ge=1, le=100, description="quality of re-encoded pictures")
    copy_untouched: Literal["auto", "never"] = Field(
        "auto",
        description="copy groups of pictures in which nobody is hidden, where that is safe, instead"
        " of encoding them again",
    )
    keep_location: bool = Field(
        False, description="keep the place and device data that the file carries"
    )
    shots: Literal["content", "transnet", "none"] = Field(
        "content", description="how cuts are found; transnet is a network, with a pack of that name"
    )
    sampling: Literal["adaptive", "every"] = Field(
        "adaptive", description="which frames are looked at"
    )
    look_every: float = Field(
        0.4, ge=0.02, le=2.0, description="seconds between looks at a whole frame, at most"
    )
    pad: int = Field(3, ge=0, le=250, description="frames hidden before and after a face is seen")
    sure: float | None = Field(
        None, ge=-1, le=1, description="similarity that is surely a person (default: the pack's)"
    )
    doubtful: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="similarity that may be a person (default: the pack's)",
    )

    def __init__(self, **values: Any) -> None:
        # In each class of its own: type checkers would make one from the fields.
        super().__init__(**values)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.blur in {"listed", "others"} and self.people is None and not self.select:
            raise ValueError(f"blur={self.blur} needs people or select")
        if self.sure is not None and self.doubtful is not None and self.doubtful > self.sure:
            raise ValueError("doubtful must not be above sure")
        return self

    @classmethod
    def load(cls, config: Path | None = None, **overrides: Any) -> Self:
        """Merge ``overrides`` > environment > the TOML file ``config`` > defaults.

        Raises:
            ConfigError: the file cannot be read, or a name or a value of any source is wrong.

        """
        values: dict[str, Any] = {} if config is None else _read_toml(config)
        _known(values, f"{config}: unknown setting")
        values |= _from_environment(os.environ, cls)
        _known(overrides, "unknown setting")
        return cls(**values | overrides)

    def changed(self, **overrides: Any) -> Self:
        """Replace some of these settings, and check all again."""
        _known(overrides, "unknown setting")
        return type(self)(**self.model_dump(exclude_unset=True) | overrides)

    @property
    def choice(self) -> Choice:
        """Whom to hide: what was asked for, or what follows from people and select."""
        if self.blur is not None:
            return self.blur
        return "everyone" if self.people is None and not self.select else "listed"

    def effective(self) -> dict[str, Any]:
        """Give the JSON-ready record for a plan; without the paths, which may name people."""
        values = self.model_dump(mode="json", exclude={"people", "models_root", "threads"})
        return values | {"blur": self.choice, "select": [list(point) for point in self.select]}


class ServiceSettings(_Checked):
    """What the HTTP service needs besides: where it works, and the bounds of what it takes.

    Raises:
        ConfigError: an unknown name, or a value out of range.

    """

    host: str = Field("0.0.0.0", min_length=1, description="address to listen at")  # noqa: S104
    spool: Path | None = Field(
        None, description="folder for uploads and results (default: the one for temporary files)"
    )
    max_bytes: int = Field(16 * 2**30, ge=1, description="size of a request, at most")
    max_seconds: float = Field(14_400, gt=0, description="duration of a video, at most")
    max_pixels: int = Field(2**26, ge=1, description="width times height of a picture, at most")
    max_frames: int = Field(1_000_000, ge=1, description="frames of a video, at most")
    min_free: int = Field(
        256 * 2**20, ge=0, description="bytes that must stay free where the spool is"
    )
    queue: int = Field(
        1, ge=0, le=64, description="requests that may wait while another one is worked on"
    )
    queue_seconds: float = Field(
        60, ge=0, le=3600, description="how long a request waits for its turn, at most"
    )
    idle_seconds: float = Field(
        60, gt=0, le=3600, description="how long a client may send or take nothing"
    )
    stop_seconds: float = Field(
        20, ge=0, le=23, description="how long running work may go on after SIGTERM"
    )
    embeddings: bool = Field(
        False, description="answer the embeddings of the faces of an image to those who ask"
    )
    metrics: bool = Field(False, description="answer /metrics, for Prometheus")
    tickets: Prefixes = Field(
        (), description="prefixes of S3 that tickets may name, with commas between (default: none)"
    )

    def __init__(self, **values: Any) -> None:
        # In each class of its own: type checkers would make one from the fields.
        super().__init__(**values)

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Merge ``overrides`` > environment > defaults.

        Raises:
            ConfigError: a name or a value of either source is wrong.

        """
        return cls(**_from_environment(os.environ, cls) | overrides)


def _known(values: Mapping[str, Any], message: str) -> None:
    _refuse_others(values, tuple(Settings.model_fields), message)


def _refuse_others(values: Collection[str], valid: Collection[str], message: str) -> None:
    if unknown := sorted(set(values) - set(valid)):
        raise ConfigError(f"{message} {', '.join(unknown)}; valid are: {', '.join(valid)}")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # of TOML or of UTF-8
        raise ConfigError(f"{path}: is not TOML: {' '.join(str(error).split())}") from error


def _from_environment(environment: Mapping[str, str], kind: type[_Checked]) -> dict[str, str]:
    """Read the settings of a kind; an empty variable is one that is not set.

    The other kind's variables are left alone: one environment serves all commands of a container.
    """
    valid = [
        ENV_PREFIX + name.upper()
        for one in (Settings, ServiceSettings)
        for name in one.model_fields
    ]
    given = [name for name in environment if name.startswith(ENV_PREFIX)]
    _refuse_others(given, valid, "unknown environment variable")
    values = {name: environment.get(ENV_PREFIX + name.upper()) for name in kind.model_fields}
    return {name: value for name, value in values.items() if value}


def _explain(error: ValidationError) -> str:
    """One line for all that is wrong, without the values of paths."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}".removeprefix(": ")
        .replace("Value error, ", "")
        .replace("Extra inputs are not permitted", "unknown setting")
        for item in error.errors(include_url=False)
    )
