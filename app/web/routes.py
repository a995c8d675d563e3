"""The routes: parse requests, run the work, and map errors to HTTP statuses."""

import logging
import secrets
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import wrap_file

from app.config import Settings
from app.errors import FaceBlurError, UsageError
from app.logs import LOGGER, describe_exception, redact
from app.web import options
from app.web.media_job import MediaJob, ResultFile
from app.web.metrics import RequestStats
from app.web.options import ResponseKind
from app.web.service import Check, Client, Service
from app.web.ticket_job import TicketJob
from app.web.tickets import Ticket, is_ticket, receive_ticket
from app.web.uploads import BodyReader, Upload, receive_form, receive_media, request_folder

_FORM = "multipart/form-data"
_RETRY_SECONDS = 10
_SUMMARY_COUNTS = ("frames", "tracks", "hidden", "uncertain", "unclear", "not_found")
_EXECUTION_PARAMETERS = {"MaxConcurrentTransforms": 1, "MaxPayloadInMB": 0}
"""Without BatchStrategy: it has no effect if objects are not split, and the local mode of
SageMaker's SDK cannot handle it."""


def make_app(service: Service) -> Flask:
    """Make the WSGI application."""
    app = Flask("face_blur", static_folder=None)
    app.add_url_rule("/ping", view_func=lambda: _ping(service), endpoint="ping")
    app.add_url_rule(
        "/execution-parameters",
        view_func=lambda: jsonify(_EXECUTION_PARAMETERS),
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
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _internal_error)
    app.extensions["face_blur"] = service
    return app


def _ping(service: Service) -> Response:
    return Response(status=503 if service.runner.stopping else 200)


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


def error_response(status: int, code: str, message: str) -> Response:
    """Make the response to a request that failed."""
    response = jsonify({"error": {"code": code, "message": message}})
    response.status_code = status
    if status == 503:
        response.headers["Retry-After"] = str(_RETRY_SECONDS)
    return response


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
                code, fields = FaceBlurError.code, describe_exception(error)
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
        client = Client(request.environ.get("gunicorn.socket"), service.limits.idle_seconds)
        with service.runner.admit(), request_folder(service.spool) as folder:
            with self._stats.stage("receive"):
                content = self._receive(folder, client)
            for key, value in content.options.items():
                options.add_option(attributes, key, value)
            # The settings only need to know that there are people; those of a ticket load later.
            people = {} if content.people is None else {"people": folder / "people"}
            settings = options.apply_options(service.settings, attributes | people)
            began = time.monotonic()
            with (
                service.runner.use_device(client) as check,
                service.metrics.working.track_inprogress(),
            ):
                self._stats.seconds["wait"] = round(time.monotonic() - began, 3)
                result = self._run_job(content, settings, kind, folder, check)
            return self._send(result)

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

    def _run_job(
        self,
        content: Upload | Ticket,
        settings: Settings,
        kind: ResponseKind,
        folder: Path,
        check: Check,
    ) -> ResultFile:
        service = self._service
        if isinstance(content, Ticket):
            job = TicketJob(service, self._stats, check, folder, self._labels)
            return job.run(content, settings)
        media_job = MediaJob(service.face_blur, service.limits, self._stats, check)
        return media_job.run(content, settings, kind)

    def _send(self, result: ResultFile) -> Response:
        """Make the response. The open file stays readable when its folder is removed."""
        file: IO[bytes] = result.path.open("rb")
        size = result.path.stat().st_size
        self._stats.counts["sent_bytes"] = size
        response = Response(
            wrap_file(request.environ, file, 1 << 16),
            content_type=result.content_type,
            direct_passthrough=True,
        )
        response.content_length = size
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
