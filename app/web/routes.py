"""The routes: parse requests, run the work, and map errors to HTTP statuses."""

import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from app.config import Settings
from app.errors import Crashed, FaceBlurError, UsageError
from app.isolation import ChildFault, Reports
from app.isolation.limits import reading_seconds
from app.isolation.messages import Message
from app.logs import LOGGER, describe_exception, redact
from app.web import options
from app.web.bodies import open_body
from app.web.metrics import RequestStats
from app.web.options import ResponseKind
from app.web.requests import MediaRequest, TicketRequest
from app.web.responses import error_response
from app.web.service import Check, Client, Service
from app.web.tickets import Ticket, is_ticket, receive_ticket
from app.web.tokens import TokenGuard
from app.web.uploads import BodyReader, Upload, receive_form, receive_media, request_folder

_FORM = "multipart/form-data"
_SUMMARY_COUNTS = (
    *("frames", "tracks", "hidden", "uncertain", "unclear", "not_found", "repaired"),
    *("edits", "open_doubts", "review_required"),
)
_MAX_PAYLOAD_MB = 0
"""Requests of any size."""


def make_app(service: Service) -> Flask:
    """Make the WSGI application."""
    app = Flask("face_blur", static_folder=None)
    app.add_url_rule("/ping", view_func=lambda: _ping(service), endpoint="ping")
    app.add_url_rule(
        "/execution-parameters",
        view_func=lambda: _execution_parameters(service),
        endpoint="execution",
    )
    app.add_url_rule(
        "/invocations",
        methods=["POST"],
        endpoint="invocations",
        view_func=lambda: Invocation(service).respond(),
    )  # fmt: skip
    if service.limits.metrics:
        app.add_url_rule("/metrics", view_func=lambda: _metrics(service), endpoint="metrics")
    if service.limits.token is not None:
        app.before_request(TokenGuard(service.limits.token).check)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _internal_error)
    app.extensions["face_blur"] = service
    return app


def _ping(service: Service) -> Response:
    return Response(status=200 if service.ready else 503)


def _execution_parameters(service: Service) -> Response:
    """Answer without BatchStrategy: it has no effect if objects are not split.

    The local mode of SageMaker's SDK cannot handle it.
    """
    return jsonify(
        {"MaxConcurrentTransforms": len(service.engines), "MaxPayloadInMB": _MAX_PAYLOAD_MB}
    )


def _metrics(service: Service) -> Response:
    return Response(service.metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _http_error(error: HTTPException) -> Response:
    code = error.name.lower().replace(" ", "_").replace("'", "")
    return error_response(
        error.code or 500, code, f"{error.name}; see the documentation of the service"
    )


def _internal_error(error: Exception) -> Response:
    LOGGER.error("internal error", extra={"fields": describe_exception(error)})
    return error_response(
        500, FaceBlurError.code, "internal error of Face blur; see the log of the service"
    )


def _describe(error: Exception) -> dict[str, object]:
    return error.description if isinstance(error, ChildFault) else describe_exception(error)


def _results_in(folder: Path, answer: Message) -> list[Path]:
    """Return the paths of the results, which must be files in the folder of the request."""
    paths = [Path(answer[key]) for key in ("path", "plan") if answer[key] is not None]
    if any(path.parent != folder or path.is_symlink() for path in paths):
        raise Crashed("the process that reads the media gave a wrong answer")
    return paths


class _Reports(Reports):
    """Keeps the measurements of the child, and stops it when the request should stop."""

    def __init__(self, stats: RequestStats, check: Check) -> None:
        self._stats, self._check = stats, check

    def facts(self, facts: Message) -> None:
        """Add measurements."""
        self._stats.seconds |= facts["seconds"]
        self._stats.counts |= facts["counts"]

    def check(self) -> None:
        """Raise if the request should stop."""
        self._check()


class Invocation:
    """Handles one request to ``/invocations``, including its line in the log."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._id = secrets.token_hex(8)
        self._stats = RequestStats()
        self._labels: dict[Path, str] = {}

    def respond(self) -> Response:
        """Process the request, and return the response."""
        began = time.monotonic()
        code, fields = "ok", {}
        with self._service.metrics.present.track_inprogress():
            try:
                response = self._process()
            except FaceBlurError as error:
                code = error.code
                response = error_response(error.http_status, code, redact(str(error), self._labels))
            except Exception as error:  # noqa: BLE001 - reports bugs
                code, fields = FaceBlurError.code, _describe(error)
                response = error_response(
                    500, code, f"internal error of Face blur; see request {self._id} in the log"
                )
        self._stats.seconds["total"] = round(time.monotonic() - began, 3)
        self._service.metrics.add(code, self._stats)
        self._log(response.status_code, code, fields)
        response.headers["X-Request-Id"] = self._id
        response.headers["Cache-Control"] = "no-store"
        return response

    def _process(self) -> Response:
        service = self._service
        kind = self._response_kind()
        attributes = options.parse_attributes(request.headers.get(options.HEADER, ""))
        options.apply_options(service.settings, attributes)  # fail before the body is read
        client = Client(
            request.environ.get("gunicorn.socket"),
            service.limits.idle_seconds,
            request.environ["SERVER_PROTOCOL"],
        )
        with service.runner.admit(), request_folder(service.spool) as folder:
            with self._stats.stage("receive"):
                content = self._receive(folder, client)
            for key, value in content.options.items():
                options.add_option(attributes, key, value)
            if isinstance(content, Ticket):
                if content.edits is not None:
                    options.check_with_plan({*attributes, *content.given}, "media")
            elif content.plan is not None:
                options.check_with_plan({*attributes, *content.given}, kind)
            # The settings only need to know that there are people; those of a ticket load later.
            people = {} if content.people is None else {"people": folder / "people"}
            settings = options.apply_options(service.settings, attributes | people)
            began = time.monotonic()
            with (
                service.runner.use_engine(client) as (engine, check),
                service.metrics.working.track_inprogress(),
            ):
                self._stats.seconds["wait"] = round(time.monotonic() - began, 3)
                message, size = self._job(content, settings, kind, folder)
                reports = _Reports(self._stats, check)
                answer = engine.run(message, reports, allowance=reading_seconds(size))
                results = _results_in(folder, answer)
            return self._send(results, kind)

    def _response_kind(self) -> ResponseKind:
        kind = options.response_kind(request.accept_mimetypes)
        if kind == "faces" and not self._service.limits.embeddings:
            raise UsageError("embeddings are disabled in this service")
        return kind

    def _receive(self, folder: Path, client: Client) -> Upload | Ticket:
        limits = self._service.limits
        with self._service.runner.receive(client) as check:
            body = BodyReader(request.stream, request.content_length, folder, limits, check)
            try:
                content = self._parse(body.blocks(), folder)
            finally:
                self._stats.counts["received_bytes"] = body.received
        self._labels |= content.labels
        return content

    def _parse(self, blocks: Iterator[bytes], folder: Path) -> Upload | Ticket:
        """Read the body: a form, a ticket, or the media itself."""
        if request.mimetype == _FORM:
            return receive_form(blocks, request.mimetype_params.get("boundary", ""), folder)
        first = next(blocks, b"")
        if is_ticket(first):
            return receive_ticket(chain([first], blocks), self._service.tickets)
        return receive_media(chain([first], blocks), folder)

    def _job(
        self, content: Upload | Ticket, settings: Settings, kind: ResponseKind, folder: Path
    ) -> tuple[Message, int]:
        """Return the message for an engine, and the bytes that it may have to read."""
        if isinstance(content, Ticket):
            size = self._service.limits.max_bytes
            return TicketRequest(folder, content.as_json(), settings).message(), size
        request = MediaRequest(
            folder,
            content.media,
            settings,
            kind,
            content.people,
            content.names,
            content.plan,
            content.edits,
        )
        return request.message(), content.media.stat().st_size

    def _send(self, results: Sequence[Path], kind: ResponseKind) -> Response:
        """Make the response. The open files stay readable when their folder is removed."""
        body = open_body(results, kind)
        self._stats.counts["sent_bytes"] = body.content_bytes
        # Not as a file of gunicorn: a block has a time limit, a file has none.
        response = Response(body, content_type=body.content_type, direct_passthrough=True)
        if body.size is not None:
            response.content_length = body.size
        counts = self._stats.counts
        summary = (f"{key}={counts[key]}" for key in _SUMMARY_COUNTS if key in counts)
        response.headers["X-Face-Blur-Summary"] = " ".join(summary)
        return response

    def _log(self, status: int, code: str, fields: dict[str, object]) -> None:
        line = {"request": self._id, "status": status, "code": code}
        line |= {"seconds": self._stats.seconds} | self._stats.counts | fields
        level = (
            logging.ERROR if status == 500 else logging.INFO if status < 400 else logging.WARNING
        )
        LOGGER.log(level, "invocation", extra={"fields": line})
