"""The people of a child process: of a folder or S3, or those that an earlier child has loaded."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import PeopleError
from app.identity.gallery import Gallery, Person
from app.logs import LOGGER, redact
from app.pipeline.people import DOUBTFUL_PHOTOS, photo_labels
from app.pipeline.session import FaceBlur
from app.storage import people_folder


def with_people(face_blur: FaceBlur, people: str, spool: Path) -> FaceBlur:
    """Return a session for the people of a folder or S3 prefix.

    Raises:
        PeopleError: a photo cannot be read or used; the message contains no names.
    """
    with people_folder(people, spool) as folder:
        try:
            session = face_blur.with_people(folder)
        except PeopleError as error:
            message = redact(str(error), photo_labels(folder))
            raise PeopleError(f"{message}; check them with: face-blur people") from error
    if doubts := session.gallery.doubts:
        fields = {"doubts": len(doubts), "message": DOUBTFUL_PHOTOS}
        LOGGER.warning("doubtful photos", extra={"fields": fields})
    return session


def encode_gallery(gallery: Gallery) -> list[dict[str, Any]]:
    """Return the people of a gallery as JSON-ready values, without doubts."""
    return [
        {
            "name": person.name,
            "photos": person.photos,
            "rows": len(person.embeddings),
            "embeddings": base64.b64encode(person.embeddings.astype("<f4").tobytes()).decode(),
        }
        for person in gallery.people
    ]


def decode_gallery(people: Sequence[Mapping[str, Any]]) -> Gallery:
    """Return the gallery of ``encode_gallery``."""
    return Gallery(tuple(_decode_person(one) for one in people))


def _decode_person(one: Mapping[str, Any]) -> Person:
    values = np.frombuffer(base64.b64decode(one["embeddings"]), "<f4").astype(np.float32)
    return Person(one["name"], values.reshape(one["rows"], -1), one["photos"])
