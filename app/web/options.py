"""What a request may ask for: a few of the settings, and a kind of answer."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_options_header

from app.config import Settings
from app.errors import ConfigError

HEADER = "X-Amzn-SageMaker-Custom-Attributes"
OPTIONS = (
    *("blur", "unclear", "select", "effect", "shape", "margin", "feather", "cells", "quality"),
    *("copy_untouched", "keep_location", "shots", "sampling", "look_every", "pad"),
)
"""Settings that make sense for one request; the others belong to whoever runs the service."""
ResponseKind = Literal["media", "plan", "faces"]

_SEPARATOR = re.compile(r"[\s,;&]+(?=[^\s,;&=]+=)")
"""Between pairs; values hold commas and semicolons themselves, as in ``select=1,2,3;4,5,6``."""
_JSON = "application/json"


def parse_attributes(text: str) -> dict[str, str]:
    """Pairs of ``key=value`` with commas, semicolons, ampersands or spaces between.

    Raises:
        ConfigError: something is no pair, or a key is there twice.

    >>> parse_attributes("effect=solid, select=1,20,30;2,20,30, blur=listed")
    {'effect': 'solid', 'select': '1,20,30;2,20,30', 'blur': 'listed'}
    """
    options: dict[str, str] = {}
    text = text.strip(" \t,;&")
    for pair in _SEPARATOR.split(text) if text else ():
        key, found, value = pair.partition("=")
        if not found:
            raise ConfigError(f"options are given as KEY=VALUE; {_valid()}")
        add(options, key.strip(), value.strip().rstrip(",;& "))
    return options


def add(options: dict[str, str], key: str, value: str) -> None:
    """Put an option beside the others.

    Raises:
        ConfigError: it is not one, or is there already.
    """
    if key not in OPTIONS:
        raise ConfigError(f"unknown option {_quoted(key)}; {_valid()}")
    if key in options:
        raise ConfigError(f"option {key} is given twice; {_valid()}")
    options[key] = value


def apply(settings: Settings, options: Mapping[str, Any]) -> Settings:
    """The settings of a request.

    Raises:
        ConfigError: a value is out of range, or contradicts another one.
    """
    try:
        return settings.changed(**options)
    except ConfigError as error:
        raise ConfigError(f"{error}; {_valid()}") from error


def response_kind(accept: MIMEAccept) -> ResponseKind:
    """The kind of answer that an ``Accept`` header prefers: media unless it says JSON."""
    if accept.best is None:
        return "media"
    kind, parameters = parse_options_header(accept.best)
    if kind != _JSON:
        return "media"
    return "faces" if parameters.get("embeddings") == "1" else "plan"


def _valid() -> str:
    return f"valid are: {', '.join(OPTIONS)}"


def _quoted(key: str) -> str:
    """A key as it may be shown: what a client sends can be anything."""
    return key if re.fullmatch(r"[\w-]{1,40}", key, re.ASCII) else "(not shown)"
