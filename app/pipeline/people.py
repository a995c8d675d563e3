"""Reference photos: a folder of them becomes a gallery."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from app.errors import MediaError, PeopleError
from app.faces.alignment import align
from app.faces.quality import brighten_dark, chip_quality
from app.identity.gallery import Gallery, Person, choose_face
from app.identity.quality import ChipMeasures, rate
from app.identity.references import Reference, doubts
from app.pipeline.face_looker import once, scaled
from app.pipeline.parts import Parts
from app.types import Embeddings, FaceDetector, Faces, Image, Landmarks
from app.video import read_photo

DOUBTFUL_PHOTOS = "some photos of people may not serve; check them with: face-blur people"
"""For logs, which must not name anybody: see ``Gallery.doubts``."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
LEAST = 0.5
"""Score of a face that can serve as a reference."""
SIDES = (800, 400)
"""Longer sides in pixels at which a photo is searched: a reference face is large in its photo."""
MARGIN = 0.25
"""Black around a photo, as a part of its sides: a face that fills the photo is found then too."""
SHAKES = tuple(
    (angle, scale, right, down)
    for angle, down in ((0.06, 0.04), (-0.06, -0.04))
    for scale, right in ((1.06, 0.04), (0.94, -0.04), (1.06, -0.04), (0.94, 0.04))
)
"""Turns in radians, scales, and moves as parts of the distance between the outermost landmarks."""


def load_people(folder: Path, parts: Parts) -> Gallery:
    """The people of ``folder/NAME/*.jpg`` and ``folder/NAME.jpg`` (JPEG, PNG, WebP).

    What is doubtful about the photos is in the gallery's ``doubts``.

    Raises:
        PeopleError: no folder, nobody in it, or a photo that is unreadable, without a usable face
            or with several of the same size; the message names the file.
    """
    photos = find_photos(folder)
    return _gallery(
        [
            _reference(path, name, folder, parts)
            for name, paths in sorted(photos.items())
            for path in paths
        ],
        parts,
    )


def check_people(folder: Path, parts: Parts) -> tuple[Gallery, tuple[PeopleError, ...]]:
    """The people of ``folder`` as far as their photos can be used, and what is wrong with the rest.

    Raises:
        PeopleError: no folder, or nothing in it.
    """
    faults: list[PeopleError] = []
    found = []
    for name, paths in sorted(_find_photos(folder, faults.append).items()):
        for path in paths:
            try:
                found.append(_reference(path, name, folder, parts))
            except PeopleError as error:
                faults.append(error)
    return _gallery(found, parts), tuple(faults)


def _gallery(references: Sequence[Reference], parts: Parts) -> Gallery:
    """The people of some photos; several photos of a person are joined by their mean.

    What the photos have in common is the person: a picture unlike each of them, as by hard
    compression, is often more like their mean.
    """
    people: defaultdict[str, list[Embeddings]] = defaultdict(list)
    for one in references:
        people[one.person].append(one.embedding)
    return Gallery(
        tuple(_person(name, rows) for name, rows in people.items()),
        tuple(doubts(references, parts.scale)),
    )


def _person(name: str, embeddings: Sequence[Embeddings]) -> Person:
    rows = list(embeddings)
    if len(rows) > 1:
        mean = np.mean(rows, axis=0)
        rows.append(np.asarray(mean / np.linalg.norm(mean), np.float32))
    return Person(name, np.stack(rows), len(embeddings))


def find_photos(folder: Path) -> dict[str, list[Path]]:
    """The photos of each person by name.

    Raises:
        PeopleError: no folder, nobody in it, a person without a photo, or a file that is no photo.
    """
    return _find_photos(folder, _refuse)


def _refuse(fault: PeopleError) -> None:
    raise fault


def _find_photos(folder: Path, report: Callable[[PeopleError], None]) -> dict[str, list[Path]]:
    """As ``find_photos``; what is wrong inside the folder goes to ``report``, and is left out."""
    if not folder.is_dir():
        raise PeopleError(f"{folder}: no such folder; give one with a folder of photos per person")
    photos: defaultdict[str, list[Path]] = defaultdict(list)
    entries = list(_visible(folder))
    for entry in entries:
        inside = list(_visible(entry)) if entry.is_dir() else [entry]
        if not inside:
            report(PeopleError(f"{entry}: has no photos; add one or remove the folder"))
        for path in inside:
            if path.is_dir():
                report(
                    PeopleError(
                        f"{path}: is a folder too deep; give {entry} as the folder of"
                        " people, or move the photos one folder up"
                    )
                )
            elif path.suffix.lower() not in SUFFIXES:
                report(PeopleError(f"{path}: is not a photo (JPEG, PNG or WebP); remove it"))
            else:
                photos[entry.name if entry.is_dir() else entry.stem].append(path)
    if not entries:
        raise PeopleError(f"{folder}: is empty; put NAME.jpg or a folder NAME with photos into it")
    return dict(photos)


def _visible(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise PeopleError(f"{folder}: cannot be read: {error.strerror}") from error
    return (entry for entry in entries if not entry.name.startswith("."))


def photo_labels(folder: Path) -> dict[Path, str]:
    """What to call the photos of a folder in logs: their names are those of people."""
    found = sorted(folder.rglob("*"))
    labels = {path: "someone's folder" for path in found if path.is_dir()}
    photos = (path for path in found if path not in labels)
    labels |= {path: f"photo {number} of people" for number, path in enumerate(photos, 1)}
    return labels | {folder: "the folder of people"}


def _reference(path: Path, person: str, folder: Path, parts: Parts) -> Reference:
    """The person whom a photo shows, as far as it shows her."""
    try:
        photo = read_photo(path)
    except MediaError as error:
        raise PeopleError(f"{error}; replace this reference photo") from error
    if parts.recogniser is None:
        raise PeopleError(f"{path}: nobody has to be told apart, so no photo is needed")
    image, faces = _find(photo, parts.detector)
    face = choose_face(faces.boxes, str(path))
    template, size = parts.recogniser.template, parts.recogniser.chip_size
    chips = align(image, _shaken(faces.landmarks[face]), template, size)
    mean = parts.recogniser.embed([brighten_dark(chip) for chip in chips]).mean(axis=0)
    quality, flaw = _quality(faces.take([face]), chips[0])
    return Reference(
        person=person,
        photo=str(path),
        embedding=np.asarray(mean / np.linalg.norm(mean), np.float32),
        quality=quality,
        flaw=flaw,
        alone=path.parent == folder,
    )


def _quality(face: Faces, chip: Image) -> tuple[float, str]:
    """The quality of a reference face and its worst flaw; photos may end at the face's outline."""
    measured = chip_quality(face, [chip])
    whole = np.ones(1, np.float32)
    (quality,), (flaw,) = rate(
        ChipMeasures(
            face.scores, measured.size, measured.sharpness, measured.contrast,
            measured.frontality, whole,
        )
    )  # fmt: skip
    return float(quality), flaw


def _shaken(landmarks: Landmarks) -> Landmarks:
    """The landmarks (5, 2), and these a little turned, resized and moved: (9, 5, 2).

    Detectors place landmarks differently from picture to picture; the mean embedding of several
    alignments is nearer to that of any other picture than one alignment's is.
    """
    middle = landmarks.mean(axis=0)
    side = np.ptp(landmarks, axis=0).max()
    variants = [landmarks]
    for angle, scale, right, down in SHAKES:
        cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
        turn = np.asarray([[cosine, sine], [-sine, cosine]])
        variants.append((landmarks - middle) @ turn + middle + np.asarray([right, down]) * side)
    return np.asarray(variants, np.float32)


def _find(photo: Image, detector: FaceDetector) -> tuple[Image, Faces]:
    """A photo with a margin, and the faces found in it at two sizes of input."""
    height, width = photo.shape[:2]
    across, down = round(width * MARGIN), round(height * MARGIN)
    image = np.asarray(
        cv2.copyMakeBorder(photo, down, down, across, across, cv2.BORDER_CONSTANT), np.uint8
    )
    size = image.shape[1], image.shape[0]
    scales = [min(1.0, side / max(size)) for side in SIDES]
    seen = [(max(1, round(size[0] * k)), max(1, round(size[1] * k))) for k in scales]
    inputs = [
        np.asarray(cv2.resize(image, side, interpolation=cv2.INTER_AREA), np.uint8) for side in seen
    ]
    found = detector.detect(inputs)
    clear = [faces.take(np.flatnonzero(faces.scores >= LEAST)) for faces in found]
    return image, once([scaled(f, side, size) for f, side in zip(clear, seen, strict=True)])
