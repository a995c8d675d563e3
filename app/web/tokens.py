"""The token of a service: every request must carry it, except those for its health."""

import hmac

from flask import Response, request
from pydantic import SecretStr

from app.web.responses import error_response

_OPEN = frozenset({"ping"})
"""Endpoints that need no token: SageMaker and monitors of containers cannot send one."""
_SCHEME = "bearer"


class TokenGuard:
    """Refuses requests without the token of the service."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token.get_secret_value().encode("ascii")

    def check(self) -> Response | None:
        """Return the refusal of the present request, or None if it may be processed.

        It is called before the body is read. The comparison takes the same time whatever the
        difference is, so that the token cannot be guessed by its beginning.
        """
        if request.endpoint in _OPEN:
            return None
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        sent = given.strip().encode("utf-8", "replace")
        if hmac.compare_digest(sent, self._token) and scheme.lower() == _SCHEME:
            return None
        response = error_response(
            401, "unauthorized", "send the token of this service, as Authorization: Bearer TOKEN"
        )
        response.headers["WWW-Authenticate"] = 'Bearer realm="face-blur"'
        response.headers["Cache-Control"] = "no-store"
        return response
