"""The options of a request: some of the settings, and the kind of response."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_options_header

from app.config import PLAN_SETTINGS, Settings
from app.errors import ConfigError, UsageError

HEADER = "X-Amzn-SageMaker-Custom-Attributes"
OPTIONS = (
    *(
        "blur",
        "unclear",
        "select",
        "effect",
        "shape",
        "margin",
        "feather",
        "cells",
        "quality",
        "preset",
    ),
    *(
        "copy_untouched",
        "keep_location",
        "accept_truncated",
        "drop_stream",
        "shots",
        "sampling",
        "look_every",
        "rotate",
        "pad",
    ),
)
"""Settings that a request may change; only the operator of the service can change the others."""
ResponseKind = Literal["media", "plan", "faces", "multipart", "zip"]
PACKAGES: Mapping[str, ResponseKind] = {"multipart/mixed": "multipart", "application/zip": "zip"}
"""Responses that hold the media and the plan, by content type."""

_SEPARATOR = re.compile(r"[\s,;&]+(?=[^\s,;&=]+=)")
"""Separates pairs. Values may contain commas and semicolons, as in ``select=1,2,3;4,5,6``."""
_JSON = "application/json"


def parse_attributes(text: str) -> dict[str, str]:
    """Parse pairs of ``key=value`` separated by commas, semicolons, ampersands or spaces.

    Raises:
        ConfigError: a pair is malformed, a key is unknown, or a key is repeated.

    >>> parse_attributes("effect=solid, select=1,20,30;2,20,30, blur=listed")
    {'effect': 'solid', 'select': '1,20,30;2,20,30', 'blur': 'listed'}
    """
    options: dict[str, str] = {}
    text = text.strip(" \t,;&")
    for pair in _SEPARATOR.split(text) if text else ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"options have the form KEY=VALUE; {_valid_options()}")
        add_option(options, key.strip(), value.strip().rstrip(",;& "))
    return options


def add_option(options: dict[str, str], key: str, value: str) -> None:
    """Add an option to ``options``.

    Raises:
        ConfigError: the key is unknown or repeated.
    """
    check_option(key)
    if key in options:
        raise ConfigError(f"option {key} is given twice; {_valid_options()}")
    options[key] = value


def check_option(key: str) -> None:
    """Check that an option exists.

    Raises:
        ConfigError: the key is unknown.
    """
    if key not in OPTIONS:
        raise ConfigError(f"unknown option {_printable(key)}; {_valid_options()}")


def apply_options(settings: Settings, options: Mapping[str, Any]) -> Settings:
    """Return the settings with the options of a request.

    Raises:
        ConfigError: a value is invalid, or contradicts another one.
    """
    try:
        return settings.changed(**options)
    except ConfigError as error:
        raise ConfigError(f"{error}; {_valid_options()}") from error


def check_with_plan(given: Collection[str], kind: ResponseKind) -> None:
    """Check that a request which brings a plan asks for nothing that the plan has decided.

    Args:
        given: names of the options of the request, and ``people`` if it brings photos.
        kind: the requested response.

    Raises:
        UsageError: something belongs to the analysis, which is not done.
    """
    if wrong := sorted(set(given) - PLAN_SETTINGS):
        raise UsageError(
            f"{', '.join(wrong)}: not possible together with a plan, which says already which faces"
            " are hidden; leave it out, or leave the plan out"
        )
    if kind in {"plan", "faces"}:
        raise UsageError("the request brings a plan already; ask for the media, not for JSON")


def response_kind(accept: MIMEAccept) -> ResponseKind:
    """Return the kind of response that an ``Accept`` header prefers; media unless it is known."""
    if accept.best is None:
        return "media"
    content_type, parameters = parse_options_header(accept.best)
    content_type = content_type.lower()
    if content_type != _JSON:
        return PACKAGES.get(content_type, "media")
    return "faces" if parameters.get("embeddings") == "1" else "plan"


def _valid_options() -> str:
    return f"valid are: {', '.join(OPTIONS)}"


def _printable(key: str) -> str:
    """Return a key for a message, or a placeholder: a client may send anything as a key."""
    return key if re.fullmatch(r"[\w-]{1,40}", key, re.ASCII) else "(not shown)"
