"""Read the requests of the page, and answer them."""

from collections.abc import Mapping
from importlib.resources import files
from io import BytesIO
from typing import Any, BinaryIO, cast

from flask import Response, jsonify, request, send_file
from werkzeug.exceptions import HTTPException

from app.errors import FaceBlurError, UsageError
from app.logs import LOGGER, describe_exception
from app.review.state import Json

MAX_JSON = 2**20
"""Bytes of a request: a region with thousands of key frames needs less."""
_STATIC = "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Forbidden(UsageError):
    """A clear picture that the reviewer has not asked for."""

    http_status = 403
    code = "not_clear"


def page_file(name: str) -> Response:
    """Answer with a file of the page, all of which lie in one folder of the package."""
    known = {file.name: file for file in files(__package__).joinpath(_STATIC).iterdir()}
    suffix = "." + name.rpartition(".")[2]
    if name not in known or suffix not in _TYPES:
        return refusal(404, "not_found", "there is no such file")
    return Response(known[name].read_bytes(), content_type=_TYPES[suffix])


def seen_number() -> int:
    """Return the number of edits that the sender has seen.

    Raises:
        UsageError: it is missing or no number.
    """
    text = request.headers.get("If-Match", "").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError('an edit needs the number of edits that were seen, as If-Match: "3"')
    return int(text)


def number_in(name: str, default: int, limits: tuple[int, int]) -> int:
    """Return a number of the address; ``limits`` are inclusive.

    Raises:
        UsageError: it is no number, or outside of the limits.
    """
    text = request.args.get(name, str(default))
    low, high = limits
    if not (text.isascii() and text.isdigit() and len(text) < 6 and low <= int(text) <= high):
        raise UsageError(f"{name} is a number from {low} to {high}")
    return int(text)


def json_body() -> Mapping[str, Any]:
    """Return the JSON object of the request.

    Raises:
        UsageError: it is too long, or something else.
    """
    if (request.content_length or 0) > MAX_JSON:
        raise UsageError("the request is too long")
    values = request.get_json(silent=True)
    if not isinstance(values, dict):
        raise UsageError("the request must be a JSON object")
    return values


def word_in(name: str) -> str:
    """Return a text of the address.

    Raises:
        UsageError: it is missing.
    """
    text = request.args.get(name)
    if not text:
        raise UsageError(f"the address needs {name}")
    return text


def uploaded() -> BinaryIO:
    """Return the body of the request: a file."""
    if not request.content_length:
        raise UsageError("the file is empty")
    return cast("BinaryIO", request.stream)


def jpeg_answer(content: bytes) -> Response:
    """Answer with a picture."""
    return send_file(BytesIO(content), mimetype="image/jpeg", etag=False)


def refusal(status: int, code: str, message: str, **facts: Any) -> Response:
    """Answer with an error; ``facts`` are more of its fields."""
    body: Json = {"error": {"code": code, "message": message, **facts}}
    response = jsonify(body)
    response.status_code = status
    return response


def known_error(error: FaceBlurError) -> Response:
    """Answer with an error of the program."""
    return refusal(error.http_status, error.code, str(error))


def http_error(error: HTTPException) -> Response:
    """Answer with an error of HTTP, without its explanation."""
    return refusal(error.code or 500, error.name.lower().replace(" ", "_"), error.name)


def internal_error(error: Exception) -> Response:
    """Answer a bug without its details, which are logged without names."""
    LOGGER.error("internal error", extra={"fields": describe_exception(error)})
    return refusal(500, FaceBlurError.code, "internal error of Face blur")
