"""Strict pydantic models for files that users write, and error messages in plain words."""

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

_Item = TypeVar("_Item")

FrozenList: TypeAlias = Annotated[tuple[_Item, ...], Field(strict=False)]
"""A list in a file that becomes a tuple. Its items are still checked strictly."""

_MAX_ERRORS: Final = 3
"""Errors that one message lists; a large file may have thousands."""
_MAX_KEY: Final = 60
"""Characters of a key that a message shows."""
_TOO_DEEP: Final = "is nested too deeply"
_TOO_LONG_INTEGER: Final = "Exceeds the limit"
"""What Python says of an integer with thousands of digits, without a type of its own."""
_NOT_VALID: Final = "is not valid"
_OBJECTS: Final = frozenset({"model_type", "model_attributes_type", "dataclass_type", "dict_type"})
_WORDS: Final = {
    "missing": "missing",
    "extra_forbidden": "unknown key",
    "unexpected_keyword_argument": "unknown key",
    "missing_argument": "missing",
    "invalid_key": "has a key that is not a string",
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "is not a number",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
    "bool_type": "is not true or false",
    "bool_parsing": "is not true or false",
    "string_type": "is not a string",
    "string_unicode": "is not valid Unicode",
    "path_type": "is not the path of a file or folder",
    "dataclass_exact_type": "is not valid",
    "is_instance_of": "has a wrong type",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "bytes_type": "is not a string",
    "none_required": "must be null",
    "list_type": "is not a list",
    "tuple_type": "is not a list",
    "set_type": "is not a list",
    "frozen_set_type": "is not a list",
    "iterable_type": "is not a list",
    "named_tuple_type": "is not a list",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "union_tag_not_found": "{discriminator} is missing or is not valid",
    "union_tag_invalid": "{discriminator} must be {expected_tags}",
    "recursion_loop": _TOO_DEEP,
    "recursion_depth_exceeded": _TOO_DEEP,
    "value_error": "{error}",
    "assertion_error": "{error}",
}
"""Our words for each type of error; values in braces come from the context of the error."""


class StrictModel(BaseModel):
    """A frozen record that refuses unknown keys and converts nothing.

    A whole number is accepted where a number is expected, as in JSON.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


def parse_json(text: str | bytes) -> Any:
    """Parse JSON from a file or a request.

    Raises:
        ValueError: it is not valid JSON, not UTF-8, or nested too deeply; in our words.
    """
    try:
        return json.loads(text if isinstance(text, str) else text.decode("utf-8"))
    except ValueError as error:
        raise ValueError(text_fault(error, "JSON")) from error
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error


def parse_toml(content: bytes) -> dict[str, Any]:
    """Parse TOML from a file.

    Raises:
        ValueError: it is not valid TOML, not UTF-8, or nested too deeply; in our words.
    """
    try:
        return tomllib.loads(content.decode("utf-8"))
    except ValueError as error:
        raise ValueError(text_fault(error, "TOML")) from error
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error


def text_fault(error: ValueError, language: str) -> str:
    r"""Describe why a text cannot be parsed, in our words, with the place of the error.

    Errors that this program raised keep their words.

    >>> text_fault(json.JSONDecodeError("Expecting value", "[1,\n ?]", 5), "JSON")
    'is not valid JSON at line 2 column 2'
    """
    if isinstance(error, UnicodeDecodeError):
        return f"is not valid {language}: byte {error.start} is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"is not valid {language} at line {error.lineno} column {error.colno}"
    if isinstance(error, tomllib.TOMLDecodeError):
        place = re.search(r"line (\d+), column (\d+)", str(error))
        where = f" at line {place[1]} column {place[2]}" if place else ""
        return f"is not valid {language}{where}"
    if str(error).startswith(_TOO_LONG_INTEGER):
        return "holds a number that has too many digits"
    return str(error)


def check_file_name(value: str) -> str:
    r"""Return the name of a file if it is one without a folder.

    Raises:
        ValueError: it leads to another folder, or is not a name.

    >>> check_file_name("weights.onnx")
    'weights.onnx'
    """
    if value != PurePath(value).name or value in {"", ".", ".."} or set(value) & {"\\", "\0"}:
        raise ValueError("is not a name without a folder")
    return value


def explain(error: ValidationError, *, container: str = "object") -> str:
    """Describe the errors of a model in one line, without the values that caused them.

    Each error begins with its place, for instance ``tracks[3].boxes: is not a list``. Errors that a
    validator raises as ``ValueError`` keep their own words.

    Args:
        error: the exception that pydantic raised.
        container: the format's word for a set of keys with values: JSON has an object, TOML a
            table.
    """
    details = error.errors(include_url=False, include_input=False)
    lines = list(dict.fromkeys(_describe(one, container) for one in details))
    more = len(lines) - _MAX_ERRORS
    return "; ".join([*lines[:_MAX_ERRORS], *([f"and {more} more"] if more > 0 else [])])


def _describe(error: ErrorDetails, container: str) -> str:
    place, words = list(error["loc"]), _words(error, container)
    if place and place[-1] == "[key]":  # the key of a dictionary, not its value
        place.pop()
        words = "unknown key" if error["type"] in {"literal_error", "enum"} else f"its key {words}"
    return f"{format_place(place)}: {words}" if place else words


def _words(error: ErrorDetails, container: str) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _OBJECTS:
        return f"is not {'an' if container[0] in 'aeiou' else 'a'} {container}"
    if kind == "json_invalid":
        return f"is not valid JSON{_position(str(context.get('error', '')))}"
    try:
        words = _WORDS.get(kind, _NOT_VALID).format_map(context)
    except KeyError:
        return _NOT_VALID
    return _singular(" ".join(words.split()))


def _position(reason: str) -> str:
    """Return the position in a reason of the JSON parser, with a space before it."""
    position = re.search(r" at line \d+ column \d+", reason)
    return position.group() if position else ""


def _singular(words: str) -> str:
    """Correct the plural after a lone 1.

    >>> _singular("must have at least 1 items"), _singular("must have at least 11 items")
    ('must have at least 1 item', 'must have at least 11 items')
    """
    return re.sub(r"(\b1 (?:item|character))s$", r"\1", words)


def format_place(place: Sequence[Any]) -> str:
    """Format the place of a value in a file, from its keys and indices.

    >>> format_place(["tracks", 3, "boxes"]), format_place(["files", "a.onnx"])
    ('tracks[3].boxes', 'files["a.onnx"]')
    """
    text = ""
    for part in place:
        if isinstance(part, str) and re.fullmatch(r"[A-Za-z_][\w-]*", part[:_MAX_KEY]):
            text += f".{part[:_MAX_KEY]}" if text else part[:_MAX_KEY]
        else:
            text += f"[{json.dumps(part[:_MAX_KEY]) if isinstance(part, str) else part}]"
    return text
