"""Where and how to run: ``scripts/variables.py``, the environment, and options, checked at once."""

import argparse
import os
import re
import runpy
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.errors import ConfigError

PREFIX = "DEPLOY_"
FILE = Path(__file__).resolve().parents[1] / "variables.py"

_BUCKET = r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$"
_PREFIX = r"^[^\s/\\][^\s\\]*/$"
_ARN = r"^(arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+)?$"
_KMS = r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/.+|alias/.+|[0-9a-f-]{36})?$"
_INSTANCE = r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"


class Variables(BaseModel):
    """What ``ex_variables.py`` explains; names are those of the file in lower case.

    Raises:
        ConfigError: all that is wrong, in one line.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    region: str = Field("eu-north-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="AWS region")
    project: str = Field(
        "face-blur", pattern=r"^[a-z][a-z0-9-]{1,30}[a-z0-9]$", description="name and tag of all"
    )
    bucket: str = Field("", pattern=_BUCKET, description="S3 bucket (default: the stack's)")
    repository: str = Field(
        "", pattern=r"^([a-z0-9][a-z0-9._/-]{1,255})?$",
        description="ECR repository (default: the stack's)",
    )  # fmt: skip
    role_arn: str = Field("", pattern=_ARN, description="execution role (default: the stack's)")
    image_tag: str = Field("latest", pattern=r"^[\w][\w.-]{0,127}$", description="tag of the image")
    image_uri: str = Field("", max_length=255, description="the image, instead of by its tag")
    input_prefix: str = Field("input/", pattern=_PREFIX, description="where videos are in S3")
    output_prefix: str = Field("output/", pattern=_PREFIX, description="where results go in S3")
    people_prefix: str = Field("people/", pattern=_PREFIX, description="where photos are in S3")
    instance_type: str = Field("ml.g4dn.xlarge", pattern=_INSTANCE, description="of transform jobs")
    instance_count: int = Field(1, ge=1, le=100, description="of transform jobs")
    timeout_seconds: int = Field(3600, ge=1, le=3600, description="for one file of a transform job")
    network_isolation: bool = Field(True, description="no network for the containers")
    processing_instance_type: str = Field(
        "ml.c6i.2xlarge", pattern=_INSTANCE, description="of processing jobs"
    )
    processing_instance_count: int = Field(1, ge=1, le=100, description="of processing jobs")
    volume_gb: int = Field(100, ge=1, le=16384, description="disk of processing jobs")
    max_runtime_seconds: int = Field(86400, ge=1, le=777600, description="of processing jobs")
    kms_key: str = Field("", pattern=_KMS, description="KMS key of results and disks")
    subnets: tuple[str, ...] = Field((), max_length=16, description="private subnets, with commas")
    security_groups: tuple[str, ...] = Field(
        (), max_length=5, description="security groups, with commas"
    )
    options: dict[str, str] = Field(
        {}, description="settings of Face blur: FACE_BLUR_X=VALUE, with commas"
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(_explain(error)) from error

    @field_validator("subnets", "security_groups", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(filter(None, value.split(","))) if isinstance(value, str) else value

    @field_validator("options", mode="before")
    @classmethod
    def _paired(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        # Values have commas too: those of FACE_BLUR_SELECT.
        pairs = [pair.partition("=") for pair in re.split(r",(?=\s*\w+=)", value) if pair]
        return {key.strip(): text.strip() for key, _, text in pairs}

    @field_validator("options")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        strange = [key for key in value if not key.startswith("FACE_BLUR_")]
        if strange:
            raise ValueError(f"{', '.join(strange)}: settings are named FACE_BLUR_...")
        return value

    @model_validator(mode="after")
    def _apart(self) -> Self:
        """Results among videos would be taken for videos by the next job."""
        prefixes = sorted((self.input_prefix, self.output_prefix, self.people_prefix))
        for one, other in pairwise(prefixes):
            if other.startswith(one):
                raise ValueError(f"the prefixes {one} and {other} lie in each other")
        return self

    @property
    def people_archive(self) -> str:
        """Key of the photos as a model archive: beside their prefix, as it is no photo.

        >>> Variables(people_prefix="news/people/").people_archive
        'news/people.tar.gz'
        """
        return self.people_prefix.rstrip("/") + ".tar.gz"

    @classmethod
    def load(
        cls,
        options: Mapping[str, Any] | None = None,
        file: Path | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> Self:
        """Merge ``options`` > environment > ``file`` (default: variables.py, if it is there).

        Raises:
            ConfigError: the file cannot be run, or any of the values is wrong or unknown.
        """
        values = _from_file(file)
        values |= {
            key.removeprefix(PREFIX).lower(): value
            for key, value in environment.items()
            if key.startswith(PREFIX)
        }
        return cls(**values | dict(options or {}))


def _from_file(file: Path | None) -> dict[str, Any]:
    if file is None and not FILE.exists():
        return {}
    path = FILE if file is None else file
    try:
        found = runpy.run_path(os.fspath(path))
    except Exception as error:
        raise ConfigError(f"{path}: cannot be run: {type(error).__name__}: {error}") from error
    # Names in lower case and of typing are those of Python, not variables.
    return {key.lower(): value for key, value in found.items() if key.isupper()}


def _explain(error: ValidationError) -> str:
    return "; ".join(
        ": ".join(
            filter(
                None,
                (
                    ".".join(str(part) for part in item["loc"]).upper(),
                    "unknown variable" if item["type"] == "extra_forbidden" else item["msg"],
                ),
            )
        )
        for item in error.errors(include_url=False)
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give a command an option for each variable; they stay None when they are not given."""
    group = parser.add_argument_group("variables (see scripts/ex_variables.py)")
    for name, field in Variables.model_fields.items():
        group.add_argument(
            "--" + name.replace("_", "-"), dest=f"variable_{name}", default=None,
            metavar="VALUE", help=str(field.description),
        )  # fmt: skip


def given(args: argparse.Namespace) -> dict[str, str]:
    """The variables that were given as options."""
    found = ((name, getattr(args, f"variable_{name}", None)) for name in Variables.model_fields)
    return {name: value for name, value in found if value is not None}
