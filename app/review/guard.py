"""Who may use the review: only the browser that was opened with its token, on this machine.

A page of another site that runs in the same browser can send requests to this server. It knows no
token, its requests have another Origin, and a name that it lets point to this machine is another
Host.
"""

import hmac
import secrets

from flask import Flask, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

_COOKIE = "face_blur_review_"
_SAFE = frozenset({"GET", "HEAD"})
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
    " media-src 'self' blob:; connect-src 'self'; frame-src 'self'; form-action 'none';"
    " frame-ancestors 'none'; base-uri 'none'"
)
"""The page loads nothing from elsewhere, and no other page shows it in a frame."""
_POLICY_HEADER = "Content-Security-Policy"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def new_token() -> str:
    """Return a token that cannot be guessed."""
    return secrets.token_urlsafe(32)


class Guard:
    """Refuses all requests but those of the own page; 403 without a reason.

    Args:
        token: the token in the address that is opened.
        port: the port of the server.
    """

    def __init__(self, token: str, port: int) -> None:
        self._token, self._cookie = token, f"{_COOKIE}{port}"
        self._hosts = {f"{host}:{port}" for host in _HOSTS} | (set(_HOSTS) if port == 80 else set())

    def protect(self, app: Flask) -> None:
        """Let an application serve the own page only."""
        app.before_request(self._check)
        app.after_request(_with_headers)

    def _check(self) -> AnyResponse | None:
        if request.headers.get("Host", "").lower() not in self._hosts:
            abort(403)
        origin = request.headers.get("Origin")
        own = origin is not None and origin in {f"http://{host}" for host in self._hosts}
        if not own and (origin is not None or request.method not in _SAFE):
            abort(403)
        if request.path == "/" and self._is_token(request.args.get("token")):
            return self._with_cookie()
        if not (self._is_token(request.cookies.get(self._cookie)) or self._is_token(_bearer())):
            abort(403)
        return None

    def _with_cookie(self) -> AnyResponse:
        """Answer the address with the token: with the page, whose address has none."""
        response = redirect("/", code=303)
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="Strict", path="/")
        return response

    def _is_token(self, given: str | None) -> bool:
        sent = (given or "").encode("utf-8", "replace")
        return hmac.compare_digest(sent, self._token.encode("ascii"))


def _bearer() -> str | None:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def _with_headers(response: Response) -> Response:
    """Set the headers of every answer; the report has a policy of its own, without scripts."""
    policy = response.headers.get(_POLICY_HEADER, POLICY)
    for name, value in {**_HEADERS, _POLICY_HEADER: policy}.items():
        response.headers[name] = value
    return response
