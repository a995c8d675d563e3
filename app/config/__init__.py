"""All settings with their defaults. Precedence: overrides > environment > TOML file > defaults.

``Settings`` apply to each run; ``ServiceSettings`` exist only in the HTTP service.

An environment variable is ``FACE_BLUR_`` and the name of the setting in capitals, for instance
``FACE_BLUR_MARGIN``; a TOML file uses the names as they are here. Unknown names are always an
error: a misspelt setting that is ignored could leave faces visible.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.config.points import Point, Points, brief_time, points_as_json
from app.config.values import Prefixes, Rotation, Streams, Token
from app.errors import ConfigError, reason_of
from app.validation import explain, parse_toml

__all__ = [
    "ENV_PREFIX",
    "MAX_WORKERS",
    "PLAN_SETTINGS",
    "RENDER_SETTINGS",
    "Choice",
    "Point",
    "ServiceSettings",
    "Settings",
    "brief_time",
]

ENV_PREFIX = "FACE_BLUR_"

RENDER_SETTINGS = frozenset(
    {
        *("effect", "shape", "margin", "feather", "cells"),
        *("quality", "preset", "encoder", "copy_untouched", "keep_location", "drop_stream"),
        "verify",
    }
)
"""Settings of the second pass only; the first pass uses all others."""
PLAN_SETTINGS = RENDER_SETTINGS - {"encoder", "verify"} | {"accept_truncated"}
"""Settings that the second pass reads from the plan unless others are given. The encoder depends on
the machine, and a second look on the run. What else the first pass has used, the plan replaces."""

MAX_WORKERS = 64
"""Largest number of videos at once. Each loads the models; more than cores make no sense."""

Choice: TypeAlias = Literal["listed", "others", "everyone"]


class _Checked(BaseSettings):
    """Settings that are validated on construction; reads no environment by itself."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=ENV_PREFIX)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(explain(error)) from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - names of the base class
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the arguments; ``load`` reads the environment and the file."""
        return (init_settings,)


class Settings(_Checked):
    """The settings of one run, validated on construction.

    ``Settings(...)`` uses its arguments only; ``Settings.load`` also reads the environment and a
    TOML file.

    Raises:
        ConfigError: a name is unknown, a value is invalid, or two settings contradict each other.
    """

    people: Path | None = Field(
        None, description="folder of reference photos: NAME.jpg or NAME/*.jpg for each person"
    )
    blur: Choice | None = Field(
        None,
        description="faces to hide: those of the listed people, all others, or everyone"
        " (default: listed if people or select is set, otherwise everyone)",
    )
    unclear: Literal["hide", "keep"] = Field(
        "hide",
        description="with blur=listed: hide or keep faces that cannot be recognised (in profile,"
        " too dark, too small, ...)",
    )
    select: Points = Field(
        (),
        description="people selected by a point on the face: FRAME,X,Y or TIME,X,Y, separated by"
        " semicolons",
    )
    effect: Literal["blur", "pixelate", "solid"] = Field(
        "blur", description="how a face is hidden; only solid leaves no trace of it"
    )
    shape: Literal["ellipse", "rectangle"] = Field(
        "ellipse", description="shape of the hidden area"
    )
    margin: float = Field(
        0.2,
        ge=0.1,
        le=1.0,
        description="margin added on each side of a face, as a fraction of the face",
    )
    feather: float = Field(
        0.1,
        ge=0.0,
        le=0.5,
        description="width of the soft edge outside the margin, as a fraction of the face",
    )
    cells: int = Field(
        4, ge=1, le=4, description="detail left by blur and pixelate: cells per side of a face"
    )
    models: str = Field(
        "auto",
        min_length=1,
        description="model pack; auto is the best installed pack that allows commercial use",
    )
    detector: str | None = Field(
        None, min_length=1, description="model pack of the face detector (default: models)"
    )
    recogniser: str | None = Field(
        None, min_length=1, description="model pack of the face recogniser (default: models)"
    )
    models_root: Path | None = Field(
        None, description="folder of the model packs (default: that of the installation)"
    )
    precision: Literal["auto", "float", "int8"] = Field(
        "auto", description="number format of the models"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="device that runs the models; auto is a GPU if one works, else the CPU"
    )
    encoder: Literal["software", "auto", "nvenc"] = Field(
        "software", description="video encoder; auto is that of a GPU if one works, else software"
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="number of CPU threads (default: number of cores)"
    )
    quality: int = Field(90, ge=1, le=100, description="quality of re-encoded frames")
    preset: Literal["veryfast", "faster", "medium"] = Field(
        "veryfast",
        description="time that the software encoders of H.264 and H.265 take; slower ones make"
        " smaller files of the same quality",
    )
    copy_untouched: Literal["auto", "never"] = Field(
        "auto",
        description="copy groups of frames without hidden faces instead of re-encoding them, where"
        " that is safe",
    )
    keep_location: bool = Field(
        False, description="keep the location and device metadata of the input"
    )
    accept_truncated: bool = Field(
        False,
        description="accept a video that is cut off: use what is there, without the last frame",
    )
    drop_stream: Streams = Field(
        (),
        description="streams to leave out of the result, by number in the file or type (audio,"
        " subtitle, data, attachment), separated by commas",
    )
    verify: bool = Field(
        False,
        description="look at every frame of the result again, hide what can still be seen, and"
        " write nothing if something stays",
    )
    shots: Literal["content", "transnet", "none"] = Field(
        "content", description="cut detector; transnet is a neural network from the pack transnet"
    )
    sampling: Literal["adaptive", "every"] = Field(
        "adaptive", description="frames in which faces are detected: a selection, or every frame"
    )
    look_every: float = Field(
        0.4,
        ge=0.02,
        le=2.0,
        description="longest time between detections on a whole frame, in seconds",
    )
    rotate: Rotation = Field(
        "auto",
        description="degrees by which the picture must be turned clockwise to be upright, if the"
        " file does not say so: 90, 180, 270, none, or auto (found out where no face is clear)",
    )
    pad: int = Field(
        3,
        ge=0,
        le=250,
        description="frames in which a face is also hidden before and after it is visible",
    )
    sure: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="similarity from which a face is surely that person (default: the pack's)",
    )
    doubtful: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="similarity from which a face may be that person (default: the pack's)",
    )

    def __init__(self, **values: Any) -> None:
        # Repeated in each class: type checkers would derive a signature from the fields.
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
            ConfigError: the file cannot be read, or any source has a wrong name or value.
        """
        values: dict[str, Any] = {} if config is None else _read_toml(config)
        _check_names(values, f"{config}: unknown setting")
        values |= _from_environment(os.environ, cls)
        _check_names(overrides, "unknown setting")
        return cls(**values | overrides)

    def changed(self, **overrides: Any) -> Self:
        """Return a copy with some settings replaced, and validate all of them again.

        Raises:
            ConfigError: as the constructor.
        """
        _check_names(overrides, "unknown setting")
        return type(self)(**self.model_dump(exclude_unset=True) | overrides)

    @property
    def choice(self) -> Choice:
        """Which faces to hide: ``blur`` if set, else the default for people and select."""
        if self.blur is not None:
            return self.blur
        return "everyone" if self.people is None and not self.select else "listed"

    def effective(self) -> dict[str, Any]:
        """Return a JSON-ready record for a plan; without paths, which may contain names."""
        values = self.model_dump(mode="json", exclude={"people", "models_root", "threads"})
        return values | {"blur": self.choice, "select": points_as_json(self.select)}

    def differences(self, recorded: Mapping[str, Any]) -> list[str]:
        """Return the settings of the analysis that differ from those that a plan recorded."""
        own = self.effective()
        names = (own.keys() | recorded.keys()) - RENDER_SETTINGS
        return sorted(name for name in names if own.get(name) != recorded.get(name))


class ServiceSettings(_Checked):
    """The settings of the HTTP service: address, spool, limits and optional features.

    The job and the command for folders use ``workers``, ``max_memory`` and ``stall_seconds``, too.

    Raises:
        ConfigError: a name is unknown, or a value is invalid.
    """

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    token: Token | None = Field(
        None,
        description="secret that clients must send as Authorization: Bearer TOKEN (default: none"
        " is needed)",
    )
    spool: Path | None = Field(
        None, description="folder of uploads and results (default: the temporary folder)"
    )
    max_bytes: int = Field(16 * 2**30, ge=1, description="largest size of a request, in bytes")
    max_seconds: float = Field(14_400, gt=0, description="longest duration of a video, in seconds")
    max_pixels: int = Field(2**26, ge=1, description="largest width times height of a frame")
    max_frames: int = Field(1_000_000, ge=1, description="largest number of frames in a video")
    min_free: int = Field(
        256 * 2**20, ge=0, description="bytes that must stay free on the disk of the spool"
    )
    workers: int | None = Field(
        None,
        ge=1,
        le=MAX_WORKERS,
        description="number of videos that are processed at the same time (default: one for three"
        " cores, if there is memory for them)",
    )
    queue: int = Field(
        1, ge=0, le=64, description="number of requests that may wait while others are processed"
    )
    queue_seconds: float = Field(
        60, ge=0, le=3600, description="longest time that a request waits for its turn, in seconds"
    )
    idle_seconds: float = Field(
        60,
        gt=0,
        le=3600,
        description="time after which a client that sends or receives nothing is disconnected, in"
        " seconds",
    )
    min_rate: float = Field(
        16_384,
        ge=0,
        le=2**30,
        description="slowest average rate of an upload, in bytes per second",
    )
    stop_seconds: float = Field(
        20,
        ge=0,
        le=23,
        description="time that a running request may continue after SIGTERM, in seconds",
    )
    max_memory: int | None = Field(
        None,
        ge=2**29,
        description="memory of each process that works on media, in bytes (default: three"
        " quarters of the machine's or container's, shared by all workers)",
    )
    stall_seconds: float = Field(
        180,
        gt=0,
        le=3600,
        description="time without progress after which the work on a request is stopped, in"
        " seconds",
    )
    embeddings: bool = Field(
        False, description="allow requests for the embeddings of the faces in an image"
    )
    metrics: bool = Field(False, description="serve /metrics for Prometheus")
    tickets: Prefixes = Field(
        (), description="S3 prefixes that tickets may use, separated by commas (default: none)"
    )

    def __init__(self, **values: Any) -> None:
        # Repeated in each class: type checkers would derive a signature from the fields.
        super().__init__(**values)

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Merge ``overrides`` > environment > defaults.

        Raises:
            ConfigError: either source has a wrong name or value.
        """
        return cls(**_from_environment(os.environ, cls) | overrides)


def _check_names(values: Mapping[str, Any], message: str) -> None:
    _refuse_unknown(values, tuple(Settings.model_fields), message)


def _refuse_unknown(names: Collection[str], valid: Collection[str], message: str) -> None:
    if unknown := sorted(set(names) - set(valid)):
        raise ConfigError(f"{message} {', '.join(unknown)}; valid are: {', '.join(valid)}")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {reason_of(error)}") from error
    except ValueError as error:  # invalid TOML or UTF-8
        raise ConfigError(f"{path}: {error}; correct it") from error


def _from_environment(environment: Mapping[str, str], kind: type[_Checked]) -> dict[str, str]:
    """Read the settings of one class from the environment. Empty variables count as not set.

    Variables of the other class are allowed: all commands of a container share an environment.
    """
    valid = [
        ENV_PREFIX + name.upper()
        for one in (Settings, ServiceSettings)
        for name in one.model_fields
    ]
    names = [name for name in environment if name.startswith(ENV_PREFIX)]
    _refuse_unknown(names, valid, "unknown environment variable")
    values = {name: environment.get(ENV_PREFIX + name.upper()) for name in kind.model_fields}
    return {name: value for name, value in values.items() if value}
