"""Responses to requests that failed: JSON with a code and a message."""

from flask import Response, jsonify

_RETRY_SECONDS = 10
"""Seconds after which a client should try again: a short video has ended by then."""


def error_response(status: int, code: str, message: str) -> Response:
    """Make the response to a request that failed."""
    response = jsonify({"error": {"code": code, "message": message}})
    response.status_code = status
    if status == 503:
        response.headers["Retry-After"] = str(_RETRY_SECONDS)
    return response
