"""The routes of the files that are chosen in the page."""

from flask import Blueprint, Response, jsonify

from app.review.answers import json_body, uploaded, word_in
from app.review.intake import Intake


def file_routes(intake: Intake) -> Blueprint:
    """The files that are chosen in the page."""
    blueprint = Blueprint("files", __name__, url_prefix="/api")

    @blueprint.post("/files")
    def files() -> Response:
        return jsonify({"id": intake.take_video(word_in("name"), uploaded())})

    @blueprint.post("/people")
    def add_photo() -> Response:
        return jsonify(intake.take_photo(word_in("name"), word_in("file"), uploaded()))

    @blueprint.get("/people")
    def people() -> Response:
        return jsonify({"people": intake.people()})

    @blueprint.delete("/people/<name>")
    def remove(name: str) -> Response:
        intake.remove_person(name)
        return jsonify({"people": intake.people()})

    @blueprint.post("/analyse")
    def analyse() -> Response:
        return jsonify({"id": intake.analyse(json_body())})

    return blueprint
