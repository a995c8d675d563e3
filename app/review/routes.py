"""The routes of the review: pictures, edits and results of the videos on the desk."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request, send_file
from werkzeug.exceptions import HTTPException

from app.errors import Busy, EditConflict, FaceBlurError, UsageError
from app.review.answers import (
    MAX_JSON,
    Forbidden,
    http_error,
    internal_error,
    jpeg_answer,
    json_body,
    known_error,
    number_in,
    page_file,
    refusal,
    seen_number,
)
from app.review.desk import Case, Desk
from app.review.file_routes import file_routes
from app.review.guard import Guard
from app.review.intake import Intake
from app.review.pictures import MAX_SIDE
from app.review.rendering import Renderer
from app.review.state import boxes_bytes, edit_json
from app.review.video import Video
from app.video.kinds import CONTENT_TYPES

_FACE_SIDES = (32, 640)
"""Sides of a picture of a face in pixels."""
_REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none';"
    " frame-ancestors 'none'; base-uri 'none'"
)
"""The report has its style in itself, and names the hash of that; it has no script."""


def make_app(desk: Desk, guard: Guard) -> Flask:
    """Make the WSGI application of one run."""
    app = Flask("face_blur_review", static_folder=None)
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_JSON
    guard.protect(app)
    app.register_blueprint(_page(desk))
    app.register_blueprint(_facts(desk))
    app.register_blueprint(_pictures(desk))
    app.register_blueprint(_work(desk))
    if desk.folder is not None:
        app.register_blueprint(file_routes(Intake(desk, desk.folder)))
    app.register_error_handler(FaceBlurError, known_error)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(Exception, internal_error)
    return app


def _page(desk: Desk) -> Blueprint:
    """The files of the page, and the list of videos."""
    blueprint = Blueprint("page", __name__)

    @blueprint.get("/")
    def index() -> Response:
        return page_file("index.html")

    @blueprint.get("/static/<name>")
    def static(name: str) -> Response:
        return page_file(name)

    @blueprint.get("/api/reviews")
    def reviews() -> Response:
        cases = [case.brief(number) for number, case in enumerate(desk.cases)]
        folder = None if desk.folder is None else str(desk.folder)
        return jsonify({"reviewer": desk.reviewer, "reviews": cases, "folder": folder})

    return blueprint


def _facts(desk: Desk) -> Blueprint:
    """The state of a video."""
    blueprint = Blueprint("facts", __name__, url_prefix="/api/reviews/<case>")

    @blueprint.get("")
    def state(case: str) -> Response:
        return _state(desk, desk.case(case))

    @blueprint.get("/boxes")
    def boxes(case: str) -> Response:
        content = boxes_bytes(_video(desk, case).editor.review)
        return Response(content, content_type="application/octet-stream")

    @blueprint.get("/times")
    def times(case: str) -> Response | tuple[Response, int]:
        video = _video(desk, case)
        if not video.is_ready:
            return jsonify({"progress": None}), 202
        return jsonify({"times": video.times()})

    @blueprint.post("/clear")
    def clear(case: str) -> Response:
        video = _video(desk, case)
        wanted = json_body().get("clear")
        if not isinstance(wanted, bool):
            raise UsageError("clear is true or false")
        video.clear = wanted
        return _state(desk, desk.case(case))

    return blueprint


def _pictures(desk: Desk) -> Blueprint:
    """Everything that can be seen of a video."""
    blueprint = Blueprint("pictures", __name__, url_prefix="/api/reviews/<case>")

    @blueprint.get("/frame/<int:number>.jpg")
    def frame(case: str, number: int) -> Response:
        video = _video(desk, case)
        hidden = _is_hidden(video, request.args.get("side", "after"))
        height = number_in("height", 540, (16, MAX_SIDE))
        return jpeg_answer(video.frame(number, hidden=hidden, height=height))

    @blueprint.get("/face/<int:track>/<int:number>.jpg")
    def face(case: str, track: int, number: int) -> Response:
        return jpeg_answer(
            _video(desk, case).face(track, number, number_in("size", 160, _FACE_SIDES))
        )

    @blueprint.get("/photo/<name>/<int:number>.jpg")
    def photo(case: str, name: str, number: int) -> Response:
        desk.case(case)
        return jpeg_answer(desk.photo(name, number))

    @blueprint.get("/segment/<side>/<int:number>/<key>.mp4")
    def segment(case: str, side: str, number: int, key: str) -> Response:
        video = _video(desk, case)
        content = video.segment(number, key, hidden=_is_hidden(video, side))
        if content is None:
            return refusal(404, "stale", "the picture has changed; read the state again")
        return Response(content, content_type="video/mp4")

    return blueprint


def _work(desk: Desk) -> Blueprint:
    """The edits, and the result."""
    blueprint = Blueprint("work", __name__, url_prefix="/api/reviews/<case>")

    @blueprint.get("/journal")
    def journal(case: str) -> Response:
        edits = _video(desk, case).editor.journal.edits
        return jsonify({"edits": [edit_json(edit) for edit in edits]})

    @blueprint.post("/edits")
    def edits(case: str) -> Response:
        video = _video(desk, case)
        try:
            video.edit(seen_number(), json_body(), desk.reviewer)
        except EditConflict as error:
            newest = video.newest() or {}
            return refusal(error.http_status, error.code, str(error), **newest)
        response = _state(desk, desk.case(case))
        response.status_code = 201
        return response

    @blueprint.post("/follow")
    def follow(case: str) -> Response:
        return jsonify(_video(desk, case).follow(json_body()))

    @blueprint.post("/render")
    def render(case: str) -> tuple[Response, int]:
        renderer = _renderer(desk, case)
        renderer.start()
        return jsonify(renderer.state()), 202

    @blueprint.get("/render")
    def rendering(case: str) -> Response:
        return jsonify(_renderer(desk, case).state())

    @blueprint.get("/report")
    def report(case: str) -> Response:
        response = Response(_renderer(desk, case).report(), mimetype="text/html")
        response.headers["Content-Security-Policy"] = _REPORT_POLICY
        return response

    @blueprint.get("/result")
    def result(case: str) -> Response:
        renderer = _renderer(desk, case)
        if renderer.summary() is None:
            return refusal(404, "not_found", "there is no result yet")
        kind = CONTENT_TYPES.get(renderer.output.suffix.lower(), "application/octet-stream")
        return send_file(renderer.output.absolute(), mimetype=kind, conditional=True, etag=False)

    return blueprint


def _state(desk: Desk, case: Case) -> Response:
    video, renderer = _opened(case)
    with video.lock:
        values = video.state()
        values["rendered"] = renderer.summary()
        values["photos"] = {name: len(paths) for name, paths in desk.photos().items()}
    if request.method == "GET" and request.headers.get("If-None-Match") == f'"{_version(values)}"':
        return Response(status=304)
    response = jsonify(values)
    response.headers["ETag"] = f'"{_version(values)}"'
    return response


def _version(values: Mapping[str, Any]) -> int:
    return int(values["number"])


def _opened(case: Case) -> tuple[Video, Renderer]:
    if case.phase == "failed":
        raise UsageError(case.error or "the analysis has failed")
    if case.video is None or case.renderer is None:
        raise Busy("the video is being analysed")
    return case.video, case.renderer


def _video(desk: Desk, case: str) -> Video:
    return _opened(desk.case(case))[0]


def _renderer(desk: Desk, case: str) -> Renderer:
    return _opened(desk.case(case))[1]


def _is_hidden(video: Video, side: str) -> bool:
    """Return whether faces are hidden on a side of the picture.

    Raises:
        Forbidden: clear pictures were not asked for.
    """
    if side not in {"before", "after"}:
        raise UsageError("side is before or after")
    if side == "before" and not video.clear:
        raise Forbidden("clear pictures were not asked for")
    return side == "after"
