"""Settings of Face blur for a job: from the variables and the command line into an environment.

They are checked here as the container checks them at its start: a wrong one must not cost an
instance.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from app.config import ENV_PREFIX, ServiceSettings, Settings
from app.errors import ConfigError

SHORT = ("blur", "effect", "shape")
"""Settings with an option of their own; the others are given by ``--set``."""


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Give a command the options that say what a job does."""
    group = parser.add_argument_group("settings of Face blur (see docs/settings.md)")
    for name in SHORT:
        description = str(Settings.model_fields[name].description)
        group.add_argument(f"--{name}", metavar="VALUE", help=description)
    group.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any other setting"
    )


def given_settings(args: argparse.Namespace) -> dict[str, str]:
    """The settings that were given as options, as variables of the environment.

    Raises:
        ConfigError: ``--set`` is no pair, or names a setting twice.
    """
    found = {name: getattr(args, name) for name in SHORT if getattr(args, name) is not None}
    pairs = _pairs(args.set)
    if twice := sorted(set(found) & set(pairs)):
        raise ConfigError(f"{twice[0]} is given twice")
    return {ENV_PREFIX + name.upper(): value for name, value in (found | pairs).items()}


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    out: dict[str, str] = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found:
            raise ConfigError(f"--set {text}: must be NAME=VALUE")
        if name in out:
            raise ConfigError(f"{name} is given twice")
        out[name] = value
    return out


def check_settings(environment: Mapping[str, str], *, people: bool) -> None:
    """Whether the container will start with an environment.

    Args:
        environment: ``FACE_BLUR_`` variables.
        people: whether photos of people reach it by another way.

    Raises:
        ConfigError: a name is unknown, a value is out of range, or two contradict each other.
    """
    values: dict[str, Any] = {
        name.removeprefix(ENV_PREFIX).lower(): value for name, value in environment.items() if value
    }
    service = {name: values.pop(name) for name in ServiceSettings.model_fields if name in values}
    ServiceSettings(**service)
    Settings(**({"people": "people"} if people else {}) | values)
