"""The routes: parse, call, answer, and map errors to statuses."""

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

from app.errors import FaceBlurError, UsageError
from app.logs import LOGGER, describe, public
from app.web import options
from app.web.form import Upload, receive_form
from app.web.media_job import Account, Answer, MediaJob
from app.web.options import ResponseKind
from app.web.runner import Caller
from app.web.service import Service
from app.web.ticket_job import TicketJob
from app.web.tickets import Ticket, is_ticket, receive_ticket
from app.web.uploads import Intake, request_folder, save_media

_FORM = "multipart/form-data"
_RETRY_SECONDS = 10
_EXECUTION = {"MaxConcurrentTransforms": 1, "MaxPayloadInMB": 0}
"""Without BatchStrategy: it says nothing where objects are not split, and the SDK's local mode
stumbles over it."""


def make_app(service: Service) -> Flask:
    """The WSGI application."""
    app = Flask("face_blur", static_folder=None)
    app.add_url_rule("/ping", view_func=lambda: _ping(service), endpoint="ping")
    app.add_url_rule(
        "/execution-parameters", view_func=lambda: jsonify(_EXECUTION), endpoint="execution"
    )
    app.add_url_rule(
        "/invocations", methods=["POST"], endpoint="invocations",
        view_func=lambda: Invocation(service).answer(),
    )  # fmt: skip
    if service.limits.metrics:
        app.add_url_rule("/metrics", view_func=lambda: _metrics(service), endpoint="metrics")
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unforeseen)
    app.extensions["face_blur"] = service
    return app


def _ping(service: Service) -> Response:
    return Response(status=503 if service.runner.stopping else 200)


def _metrics(service: Service) -> Response:
    return Response(service.metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _http_error(error: HTTPException) -> Response:
    code = error.name.lower().replace(" ", "_").replace("'", "")
    return failure(error.code or 500, code, f"{error.name}; see the description of the service")


def _unforeseen(error: Exception) -> Response:
    LOGGER.error("bug", extra={"fields": describe(error)})
    return failure(500, FaceBlurError.code, "a fault of Face blur; its log tells where")


def failure(status: int, code: str, message: str) -> Response:
    """The answer to a request that failed."""
    response = jsonify({"error": {"code": code, "message": message}})
    response.status_code = status
    if status == 503:
        response.headers["Retry-After"] = str(_RETRY_SECONDS)
    return response


class Invocation:
    """One request to ``/invocations``, from its first byte to its line in the log."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._id = secrets.token_hex(8)
        self._account = Account()
        self._labels: dict[Path, str] = {}

    def answer(self) -> Response:
        """Do what the request asks for."""
        began = time.monotonic()
        code, fields = "ok", {}
        with self._service.metrics.present.track_inprogress():
            try:
                response = self._work()
            except FaceBlurError as error:
                code = error.code
                response = failure(error.http_status, code, public(str(error), self._labels))
            except Exception as error:  # noqa: BLE001 - the last resort; the log says where
                code, fields = FaceBlurError.code, describe(error)
                response = failure(
                    500, code, f"a fault of Face blur; see request {self._id} in its log"
                )
        self._account.seconds["total"] = round(time.monotonic() - began, 3)
        self._service.metrics.count(code, self._account.seconds, self._account.counts)
        self._log(response.status_code, code, fields)
        response.headers["X-Request-Id"] = self._id
        response.headers["Cache-Control"] = "no-store"
        return response

    def _work(self) -> Response:
        service = self._service
        wanted = self._wanted()
        asked = options.parse_attributes(request.headers.get(options.HEADER, ""))
        options.apply(service.settings, asked)  # before the body: bad options cost nothing
        caller = Caller(request.environ.get("gunicorn.socket"), service.limits.idle_seconds)
        with (
            service.runner.admitted(),
            request_folder(service.spool) as folder,
        ):
            with self._account.stage("receive"):
                brought = self._receive(folder, caller)
            for key, value in brought.options.items():
                options.add(asked, key, value)
            # Of a ticket's people it only counts that there are some: they are fetched later.
            people = {} if brought.people is None else {"people": folder / "people"}
            settings = options.apply(service.settings, asked | people)
            began = time.monotonic()
            with (
                service.runner.turn(caller) as check,
                service.metrics.working.track_inprogress(),
            ):
                self._account.seconds["wait"] = round(time.monotonic() - began, 3)
                if isinstance(brought, Ticket):
                    ticket_job = TicketJob(service, self._account, check, folder, self._labels)
                    made = ticket_job.run(brought, settings)
                else:
                    job = MediaJob(service.face_blur, service.limits, self._account, check)
                    made = job.run(brought, settings, wanted)
            return self._send(made)

    def _wanted(self) -> ResponseKind:
        wanted = options.response_kind(request.accept_mimetypes)
        if wanted == "faces" and not self._service.limits.embeddings:
            raise UsageError("embeddings are turned off in this service")
        return wanted

    def _receive(self, folder: Path, caller: Caller) -> Upload | Ticket:
        limits = self._service.limits
        with self._service.runner.receiving(caller) as check:
            intake = Intake(request.stream, request.content_length, folder, limits, check)
            try:
                brought = self._take(intake.blocks(), folder)
            finally:
                self._account.counts["received_bytes"] = intake.received
        self._labels |= brought.labels
        return brought

    def _take(self, blocks: Iterator[bytes], folder: Path) -> Upload | Ticket:
        """What a body is: a form, a ticket, or media."""
        if request.mimetype == _FORM:
            return receive_form(blocks, request.mimetype_params.get("boundary", ""), folder)
        first = next(blocks, b"")
        if is_ticket(first):
            return receive_ticket(chain([first], blocks), self._service.tickets)
        upload = Upload(folder / "media", labels={folder / "media": "media"})
        save_media(chain([first], blocks), upload.media)
        return upload

    def _send(self, answer: Answer) -> Response:
        """The file as the body. Its name may go before it has been read: the open file stays."""
        file: IO[bytes] = answer.path.open("rb")
        size = answer.path.stat().st_size
        self._account.counts["sent_bytes"] = size
        response = Response(
            wrap_file(request.environ, file, 1 << 16),
            content_type=answer.content_type,
            direct_passthrough=True,
        )
        response.content_length = size
        counts = self._account.counts
        told = (
            f"{key}={counts[key]}"
            for key in ("frames", "tracks", "hidden", "uncertain", "unclear", "not_found")
            if key in counts
        )
        response.headers["X-Face-Blur-Summary"] = " ".join(told)
        return response

    def _log(self, status: int, code: str, fields: dict[str, object]) -> None:
        line = {"request": self._id, "status": status, "code": code}
        line |= {"seconds": self._account.seconds} | self._account.counts | fields
        level = (
            logging.ERROR if status == 500 else logging.INFO if status < 400 else logging.WARNING
        )
        LOGGER.log(level, "invocation", extra={"fields": line})
