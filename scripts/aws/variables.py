"""The variables of the AWS commands, from ``variables.py``, the environment and options."""

import argparse
import os
import re
import runpy
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.errors import ConfigError
from app.validation import words_of

PREFIX = "DEPLOY_"
FILE = Path(__file__).resolve().parents[1] / "variables.py"

_BUCKET = r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$"
_PREFIX = r"""^[^\s/\\'"{}*?$][^\s\\'"{}*?$]*/$"""
_RESERVED = ("failed/", "work/")
"""Prefixes that the pipeline writes below: as inputs they would start it again without an end."""
_ARN = r"^(arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+)?$"
_POLICY = r"^(arn:aws[a-z-]*:iam::(\d{12}|aws):policy/.+)?$"
_TOPIC = r"^(arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w.-]+)?$"
_KMS = r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/.+|alias/.+|[0-9a-f-]{36})?$"
_INSTANCE = r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"
COMPUTE_TYPES = {"gpu": "ml.g4dn.xlarge", "cpu": "ml.c6i.2xlarge"}
"""The instance type of transform jobs for each value of ``COMPUTE``: the smallest GPU, and about as
many CPUs as get the same work done in the same time."""
_CPU_SUFFIX = "-cpu"


class Variables(BaseModel):
    """The variables that ``ex_variables.py`` explains, with names in lower case.

    Raises:
        ConfigError: values are invalid; the message lists all of them in one line.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    region: str = Field("eu-north-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="AWS region")
    project: str = Field(
        "face-blur",
        pattern=r"^[a-z][a-z0-9-]{1,30}[a-z0-9]$",
        description="name and tag of all resources",
    )
    bucket: str = Field("", pattern=_BUCKET, description="S3 bucket (default: the stack's)")
    repository: str = Field(
        "",
        pattern=r"^([a-z0-9][a-z0-9._/-]{1,255})?$",
        description="ECR repository (default: the stack's)",
    )
    role_arn: str = Field("", pattern=_ARN, description="execution role (default: the stack's)")
    image_tag: str = Field("latest", pattern=r"^[\w][\w.-]{0,127}$", description="tag of the image")
    image_uri: str = Field("", max_length=255, description="URI of the image, instead of its tag")
    image_user: int = Field(
        0, ge=0, le=2**31 - 1, description="user of the image: 0 is root, which SageMaker expects"
    )
    input_prefix: str = Field("input/", pattern=_PREFIX, description="prefix of videos in S3")
    output_prefix: str = Field("output/", pattern=_PREFIX, description="prefix of results in S3")
    people_prefix: str = Field("people/", pattern=_PREFIX, description="prefix of photos in S3")
    compute: Literal["gpu", "cpu"] = Field(
        "gpu", description="gpu: image for GPUs on a GPU; cpu: image for CPUs, tag IMAGE_TAG-cpu"
    )
    instance_type: str = Field(
        "",
        pattern=f"^$|{_INSTANCE}",
        description="instance type of transform jobs and endpoints (default: by COMPUTE)",
    )
    instance_count: int = Field(1, ge=1, le=100, description="instances of transform jobs")
    timeout_seconds: int = Field(
        3600, ge=1, le=3600, description="time limit for one file in a transform job or an endpoint"
    )
    network_isolation: bool = Field(True, description="no network for the containers")
    processing_instance_type: str = Field(
        "ml.c6i.2xlarge", pattern=_INSTANCE, description="instance type of processing jobs"
    )
    processing_instance_count: int = Field(
        1, ge=1, le=100, description="instances of processing jobs"
    )
    verification_instance_type: str = Field(
        "ml.c6i.2xlarge",
        pattern=_INSTANCE,
        description="instance type of the job that verifies results in the region",
    )
    volume_gb: int = Field(100, ge=1, le=16384, description="disk size of processing jobs")
    max_runtime_seconds: int = Field(
        86400, ge=1, le=777600, description="time limit of processing jobs, in seconds"
    )
    async_max_instances: int = Field(1, ge=1, le=100, description="most instances of an endpoint")
    success_topic: str = Field(
        "", pattern=_TOPIC, description="SNS topic that an endpoint tells of results"
    )
    error_topic: str = Field(
        "", pattern=_TOPIC, description="SNS topic that an endpoint tells of failures"
    )
    kms_key: str = Field("", pattern=_KMS, description="KMS key for results and disks")
    boundary_arn: str = Field("", pattern=_POLICY, description="permissions boundary of the role")
    alarm_email: str = Field(
        "", pattern=r"^([^@\s]+@[^@\s]+)?$", description="address that is told of failed jobs"
    )
    subnets: tuple[str, ...] = Field(
        (), max_length=16, description="private subnets, comma-separated"
    )
    security_groups: tuple[str, ...] = Field(
        (), max_length=5, description="security groups, comma-separated"
    )
    prices: dict[str, float] = Field(
        {}, description="prices of an hour for the bill: ml.TYPE=PRICE, comma-separated"
    )
    options: dict[str, str] = Field(
        {}, description="settings of Face blur: FACE_BLUR_X=VALUE, comma-separated"
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(_explain(error)) from error

    @field_validator("subnets", "security_groups", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return tuple(filter(None, value.split(","))) if isinstance(value, str) else value

    @field_validator("prices", mode="before")
    @classmethod
    def _split_prices(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair]
        return {key.strip(): price.strip() for key, _, price in pairs}

    @field_validator("options", mode="before")
    @classmethod
    def _split_pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        # Values may contain commas too, such as that of FACE_BLUR_SELECT.
        pairs = [pair.partition("=") for pair in re.split(r",(?=\s*\w+=)", value) if pair]
        return {key.strip(): text.strip() for key, _, text in pairs}

    @field_validator("options")
    @classmethod
    def _check_names(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = [key for key in value if not key.startswith("FACE_BLUR_")]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: names of settings start with FACE_BLUR_")
        return value

    @model_validator(mode="after")
    def _check_prefixes(self) -> Self:
        """Check that no prefix contains another: the next job would take results for videos."""
        own = (self.input_prefix, self.output_prefix, self.people_prefix)
        prefixes = sorted((*own, *_RESERVED))
        for one, other in pairwise(prefixes):
            if other.startswith(one):
                raise ValueError(f"the prefixes {one} and {other} overlap")
        return self

    @property
    def transform_type(self) -> str:
        """Instance type of transform jobs and endpoints.

        >>> Variables().transform_type, Variables(compute="cpu").transform_type
        ('ml.g4dn.xlarge', 'ml.c6i.2xlarge')
        """
        return self.instance_type or COMPUTE_TYPES[self.compute]

    @property
    def tag(self) -> str:
        """Tag of the image: both images can be in the repository.

        >>> Variables(image_tag="first", compute="cpu").tag
        'first-cpu'
        """
        return self.image_tag + (_CPU_SUFFIX if self.compute == "cpu" else "")

    @property
    def people_archive(self) -> str:
        """Key of the archive of photos: next to their prefix, as it is not a photo.

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
        """Merge ``options`` > environment > ``file`` (default: variables.py, if it exists).

        Raises:
            ConfigError: the file cannot be run, or a value is invalid or unknown.
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
    # Names in lower case are modules, functions and types, not variables.
    return {key.lower(): value for key, value in found.items() if key.isupper()}


_OWN_WORDS = {
    "extra_forbidden": "unknown variable",
    "string_pattern_mismatch": "has a wrong form (see scripts/ex_variables.py)",
}
"""Words for types of errors that say more than the general ones."""


def _explain(error: ValidationError) -> str:
    """Describe all errors in one line, each with the name of its variable."""
    described = []
    for item in error.errors(include_url=False, include_input=False):
        name = ".".join(str(part) for part in item["loc"]).upper()
        words = _OWN_WORDS.get(item["type"]) or words_of(item)
        described.append(f"{name}: {words}" if name else words)
    return "; ".join(described)


def add_variable_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each variable; its default is None."""
    group = parser.add_argument_group("variables (see scripts/ex_variables.py)")
    for name, field in Variables.model_fields.items():
        group.add_argument(
            "--" + name.replace("_", "-"),
            dest=f"variable_{name}",
            default=None,
            metavar="VALUE",
            help=str(field.description),
        )


def variables_given(args: argparse.Namespace) -> dict[str, str]:
    """Return the variables given as options."""
    options = ((name, getattr(args, f"variable_{name}", None)) for name in Variables.model_fields)
    return {name: value for name, value in options if value is not None}
