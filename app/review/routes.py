"""The routes of the review: pictures, edits and results of the videos on the desk."""

from collections.abc import Mapping
from importlib.resources import files
from io import BytesIO
from typing import Any, BinaryIO, cast

from flask import Blueprint, Flask, Response, jsonify, request, send_file
from werkzeug.exceptions import HTTPException

from app.errors import Busy, EditConflict, FaceBlurError, UsageError
from app.logs import LOGGER, describe_exception
from app.review.desk import Case, Desk
from app.review.guard import Guard
from app.review.intake import Intake
from app.review.pictures import MAX_SIDE
from app.review.rendering import Renderer
from app.review.state import Json, boxes_bytes, edit_json
from app.review.video import Video
from app.video.kinds import CONTENT_TYPES

_FACE_SIDES = (32, 640)
"""Sides of a picture of a face in pixels."""
_MAX_JSON = 2**20
"""Bytes of a request: a region with thousands of key frames needs less."""
_REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none';"
    " frame-ancestors 'none'; base-uri 'none'"
)
"""The report has its style in itself, and names the hash of that; it has no script."""
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


def make_app(desk: Desk, guard: Guard) -> Flask:
    """Make the WSGI application of one run."""
    app = Flask("face_blur_review", static_folder=None)
    app.config["MAX_FORM_MEMORY_SIZE"] = _MAX_JSON
    guard.protect(app)
    app.register_blueprint(_page(desk))
    app.register_blueprint(_facts(desk))
    app.register_blueprint(_pictures(desk))
    app.register_blueprint(_work(desk))
    if desk.folder is not None:
        app.register_blueprint(_files(Intake(desk, desk.folder)))
    app.register_error_handler(FaceBlurError, _known_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _internal_error)
    return app


def _page(desk: Desk) -> Blueprint:
    """The files of the page, and the list of videos."""
    blueprint = Blueprint("page", __name__)

    @blueprint.get("/")
    def index() -> Response:
        return _static("index.html")

    @blueprint.get("/static/<name>")
    def static(name: str) -> Response:
        return _static(name)

    @blueprint.get("/api/reviews")
    def reviews() -> Response:
        cases = [case.brief(number) for number, case in enumerate(desk.cases)]
        folder = None if desk.folder is None else str(desk.folder)
        return jsonify({"reviewer": desk.reviewer, "reviews": cases, "folder": folder})

    return blueprint


def _static(name: str) -> Response:
    """Answer with a file of the page, all of which lie in one folder of the package."""
    known = {file.name: file for file in files(__package__).joinpath(_STATIC).iterdir()}
    suffix = "." + name.rpartition(".")[2]
    if name not in known or suffix not in _TYPES:
        return _error(404, "not_found", "there is no such file")
    return Response(known[name].read_bytes(), content_type=_TYPES[suffix])


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
        wanted = _body().get("clear")
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
        height = _number("height", 540, (16, MAX_SIDE))
        return _jpeg(video.frame(number, hidden=hidden, height=height))

    @blueprint.get("/face/<int:track>/<int:number>.jpg")
    def face(case: str, track: int, number: int) -> Response:
        return _jpeg(_video(desk, case).face(track, number, _number("size", 160, _FACE_SIDES)))

    @blueprint.get("/photo/<name>/<int:number>.jpg")
    def photo(case: str, name: str, number: int) -> Response:
        desk.case(case)
        return _jpeg(desk.photo(name, number))

    @blueprint.get("/segment/<side>/<int:number>/<key>.mp4")
    def segment(case: str, side: str, number: int, key: str) -> Response:
        video = _video(desk, case)
        content = video.segment(number, key, hidden=_is_hidden(video, side))
        if content is None:
            return _error(404, "stale", "the picture has changed; read the state again")
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
            video.edit(_seen_number(), _body(), desk.reviewer)
        except EditConflict as error:
            newest = video.newest() or {}
            return _error(error.http_status, error.code, str(error), **newest)
        response = _state(desk, desk.case(case))
        response.status_code = 201
        return response

    @blueprint.post("/follow")
    def follow(case: str) -> Response:
        return jsonify(_video(desk, case).follow(_body()))

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
            return _error(404, "not_found", "there is no result yet")
        kind = CONTENT_TYPES.get(renderer.output.suffix.lower(), "application/octet-stream")
        return send_file(renderer.output.absolute(), mimetype=kind, conditional=True, etag=False)

    return blueprint


def _files(intake: Intake) -> Blueprint:
    """The files that are chosen in the page."""
    blueprint = Blueprint("files", __name__, url_prefix="/api")

    @blueprint.post("/files")
    def files() -> Response:
        return jsonify({"id": intake.take_video(_word("name"), _upload())})

    @blueprint.post("/people")
    def add_photo() -> Response:
        return jsonify(intake.take_photo(_word("name"), _word("file"), _upload()))

    @blueprint.get("/people")
    def people() -> Response:
        return jsonify({"people": intake.people()})

    @blueprint.delete("/people/<name>")
    def remove(name: str) -> Response:
        intake.remove_person(name)
        return jsonify({"people": intake.people()})

    @blueprint.post("/analyse")
    def analyse() -> Response:
        return jsonify({"id": intake.analyse(_body())})

    return blueprint


def _word(name: str) -> str:
    text = request.args.get(name)
    if not text:
        raise UsageError(f"the address needs {name}")
    return text


def _upload() -> BinaryIO:
    """Return the body of the request: a file."""
    if not request.content_length:
        raise UsageError("the file is empty")
    return cast("BinaryIO", request.stream)


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


def _seen_number() -> int:
    text = request.headers.get("If-Match", "").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError('an edit needs the number of edits that were seen, as If-Match: "3"')
    return int(text)


def _number(name: str, default: int, limits: tuple[int, int]) -> int:
    text = request.args.get(name, str(default))
    low, high = limits
    if not (text.isascii() and text.isdigit() and len(text) < 6 and low <= int(text) <= high):
        raise UsageError(f"{name} is a number from {low} to {high}")
    return int(text)


def _body() -> Mapping[str, Any]:
    if (request.content_length or 0) > _MAX_JSON:
        raise UsageError("the request is too long")
    values = request.get_json(silent=True)
    if not isinstance(values, dict):
        raise UsageError("the request must be a JSON object")
    return values


def _jpeg(content: bytes) -> Response:
    return send_file(BytesIO(content), mimetype="image/jpeg", etag=False)


def _error(status: int, code: str, message: str, **facts: Any) -> Response:
    body: Json = {"error": {"code": code, "message": message, **facts}}
    response = jsonify(body)
    response.status_code = status
    return response


def _known_error(error: FaceBlurError) -> Response:
    return _error(error.http_status, error.code, str(error))


def _http_error(error: HTTPException) -> Response:
    return _error(error.code or 500, error.name.lower().replace(" ", "_"), error.name)


def _internal_error(error: Exception) -> Response:
    LOGGER.error("internal error", extra={"fields": describe_exception(error)})
    return _error(500, FaceBlurError.code, "internal error of Face blur")
