"""The people of a request."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from app.identity.gallery import Gallery
from app.pipeline import Parts, load_people


def request_gallery(folder: Path, names: Mapping[str, str], parts: Parts) -> Gallery:
    """The people of a request, whose folders are numbers.

    Raises:
        PeopleError: a photo cannot be used.
    """
    gallery = load_people(folder, parts)
    return replace(
        gallery, people=tuple(replace(one, name=names[one.name]) for one in gallery.people)
    )
