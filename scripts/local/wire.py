"""Requests and responses of the API, as the server sees them."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_SCOPE = re.compile(r"Credential=[^/]+/\d+/([^/]+)/")


def region_of(environ: "WSGIEnvironment") -> str:
    """Return the region that a request is signed for."""
    found = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return found[1] if found else "us-east-1"


def refusal(kind: str, message: str) -> Response:
    """Return the response with which AWS refuses a request."""
    return answer({"__type": kind, "message": message}, 400)


def answer(content: Mapping[str, Any], status: int = 200) -> Response:
    """Return a response with a JSON object."""
    return Response(json.dumps(content), status, content_type="application/x-amz-json-1.1")
