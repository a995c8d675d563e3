"""Load a folder of reference photos as a gallery."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from app.errors import MediaError, PeopleError, reason_of
from app.faces.chips import align, brighten_dark
from app.identity.gallery import Gallery, Person, Reference, choose_face, photo_warnings
from app.pipeline.chips import rate_chip
from app.pipeline.face_looker import merge_duplicates, rescale_faces
from app.pipeline.parts import Parts
from app.pipeline.pose_search import clearest
from app.pipeline.poses import Pose
from app.system_files import is_system_path
from app.types import Embeddings, FaceDetector, Faces, Image, Landmarks
from app.video import read_photo
from app.video.kinds import PHOTO_FORMATS, PHOTO_SUFFIXES

DOUBTFUL_PHOTOS = "some reference photos may not work; check them with: face-blur people"
"""Message for logs, which must not contain names: see ``Gallery.doubts``."""
MOST_NAMED = 5
"""Files of the system that a message names: each photo may have one beside it."""
MIN_SCORE = 0.5
"""Minimum detection score of a reference face."""
SEARCH_SIDES = (800, 400)
"""Longer sides in pixels at which a photo is searched: a reference face is large in its photo."""
SEARCH_MARGIN = 0.25
"""Black border around a photo, as a fraction of its sides: it helps to find faces that fill the
photo."""
PERTURBATIONS = tuple(
    (angle, scale, right, down)
    for angle, down in ((0.06, 0.04), (-0.06, -0.04))
    for scale, right in ((1.06, 0.04), (0.94, -0.04), (1.06, -0.04), (0.94, 0.04))
)
"""Rotations in radians, scales, and shifts as fractions of the extent of the landmarks."""


def load_people(folder: Path, parts: Parts) -> Gallery:
    """Load the people of ``folder/NAME/*.jpg`` and ``folder/NAME.jpg``, in any format.

    Warnings about the photos are in the gallery's ``doubts``.

    Raises:
        PeopleError: there is no folder, it is empty, or a photo is unreadable, has no usable face
            or has several faces of the same size. The message names the file.
    """
    photos = find_photos(folder)
    return make_gallery(
        [
            _reference(path, name, folder, parts)
            for name, paths in sorted(photos.items())
            for path in paths
        ],
        parts,
        folder,
    )


def check_people(folder: Path, parts: Parts) -> tuple[Gallery, tuple[PeopleError, ...]]:
    """Load the people of ``folder`` whose photos are usable; also return all errors of the others.

    Raises:
        PeopleError: there is no folder, or it is empty.
    """
    references, faults = usable_references(folder, parts)
    return make_gallery(references, parts, folder), tuple(error for _, error in faults)


def usable_references(
    folder: Path, parts: Parts
) -> tuple[list[Reference], list[tuple[Path, PeopleError]]]:
    """Return the usable photos of ``folder``, and path and error of each other file.

    Raises:
        PeopleError: there is no folder, or it is empty.
    """
    faults: list[tuple[Path, PeopleError]] = []
    references = []
    photos = _find_photos(folder, lambda path, error: faults.append((path, error)))
    for name, paths in sorted(photos.items()):
        for path in paths:
            try:
                references.append(_reference(path, name, folder, parts))
            except PeopleError as error:
                faults.append((path, error))
    return references, faults


def make_gallery(references: Sequence[Reference], parts: Parts, folder: Path) -> Gallery:
    """Build the gallery; for several photos of a person, add their mean embedding.

    The mean keeps what the photos have in common. An image that is unlike each photo, for example
    because of heavy compression, is often more similar to the mean.
    """
    people: defaultdict[str, list[Embeddings]] = defaultdict(list)
    for one in references:
        people[one.person].append(one.embedding)
    return Gallery(
        tuple(_person(name, rows) for name, rows in people.items()),
        (*_passed_over(folder), *photo_warnings(references, parts.scale)),
    )


def _person(name: str, embeddings: Sequence[Embeddings]) -> Person:
    rows = list(embeddings)
    if len(rows) > 1:
        mean = np.mean(rows, axis=0)
        rows.append(np.asarray(mean / np.linalg.norm(mean), np.float32))
    return Person(name, np.stack(rows), len(embeddings))


def find_photos(folder: Path) -> dict[str, list[Path]]:
    """Return the photos of each person by name.

    Raises:
        PeopleError: there is no folder, it is empty, a person has no photo, or a file is not a
            photo.
    """
    return _find_photos(folder, _raise)


def _raise(_: Path, error: PeopleError) -> None:
    raise error


def _find_photos(
    folder: Path, report: Callable[[Path, PeopleError], None]
) -> dict[str, list[Path]]:
    """Like ``find_photos``, but pass paths and errors in the folder to ``report``."""
    if not folder.is_dir():
        raise PeopleError(
            f"{folder}: no such folder; give a folder with one folder of photos per person"
        )
    photos: defaultdict[str, list[Path]] = defaultdict(list)
    entries = list(_visible(folder))
    for entry in entries:
        paths = list(_visible(entry)) if entry.is_dir() else [entry]
        if not paths:
            report(entry, PeopleError(f"{entry}: has no photos; add one or remove the folder"))
        for path in paths:
            if problem := _problem(path, entry):
                report(path, PeopleError(f"{path}: {problem}"))
            else:
                photos[entry.name if entry.is_dir() else entry.stem].append(path)
    if not entries:
        raise PeopleError(f"{folder}: is empty; put NAME.jpg or a folder NAME with photos into it")
    return dict(photos)


def _problem(path: Path, entry: Path) -> str:
    """Return why ``path`` cannot be a photo, or "". ``entry`` is the person's file or folder."""
    if path.is_dir():
        return (
            f"is a folder too deep; give {entry} as the folder of people, or move the photos up one"
            " folder"
        )
    if path.suffix.lower() not in PHOTO_SUFFIXES:
        return f"is not a photo ({PHOTO_FORMATS}); remove it"
    return ""


def _visible(folder: Path) -> Iterator[Path]:
    return (
        entry
        for entry in _listed(folder)
        if not (entry.name.startswith(".") or is_system_path(entry.name))
    )


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise PeopleError(f"{folder}: cannot be read: {reason_of(error)}") from error


def _passed_over(folder: Path) -> list[str]:
    """Return a sentence about the files of the system among the photos, or nothing."""
    entries = _listed(folder)
    inside = [path for entry in _visible(folder) if entry.is_dir() for path in _listed(entry)]
    found = [
        path.relative_to(folder).as_posix()
        for path in (*entries, *inside)
        if is_system_path(path.name)
    ]
    if not found:
        return []
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return [f"{folder}: passed over files of the system: {', '.join(found[:MOST_NAMED])}{more}"]


def photo_labels(folder: Path) -> dict[Path, str]:
    """Return labels for logs, which must not contain file names: these are names of people."""
    paths = sorted(folder.rglob("*"))
    labels = {path: "someone's folder" for path in paths if path.is_dir()}
    photos = (path for path in paths if path not in labels)
    labels |= {path: f"photo {number} of people" for number, path in enumerate(photos, 1)}
    return labels | {folder: "the folder of people"}


def _reference(path: Path, person: str, folder: Path, parts: Parts) -> Reference:
    """Find, embed and rate the face of a photo."""
    try:
        photo = read_photo(path)
    except MediaError as error:
        raise PeopleError(f"{error}; replace this reference photo") from error
    if parts.recogniser is None:
        raise PeopleError(f"{path}: photos are not needed: these settings recognise nobody")
    image, faces = _detect_turned(photo, parts.detector)
    face = choose_face(faces.boxes, str(path))
    template, size = parts.recogniser.template, parts.recogniser.chip_size
    chips = align(image, _perturbed(faces.landmarks[face]), template, size)
    mean = parts.recogniser.embed([brighten_dark(chip) for chip in chips]).mean(axis=0)
    # Photos may be cropped to the outline of the face, so it counts as fully visible.
    measured, quality, flaw = rate_chip(faces.take([face]), chips[0], np.ones(1, np.float32))
    return Reference(
        person=person,
        photo=str(path),
        embedding=np.asarray(mean / np.linalg.norm(mean), np.float32),
        quality=quality,
        flaw=flaw,
        alone=path.parent == folder,
        side=float(measured.size[0]),
    )


def _perturbed(landmarks: Landmarks) -> Landmarks:
    """Return landmarks (5, 2) and slightly rotated, scaled and shifted copies: (9, 5, 2).

    Detectors place landmarks differently from image to image. The mean embedding of several
    alignments is closer to that of another image than the embedding of one alignment.
    """
    middle = landmarks.mean(axis=0)
    side = np.ptp(landmarks, axis=0).max()
    variants = [landmarks]
    for angle, scale, right, down in PERTURBATIONS:
        cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
        rotation = np.asarray([[cosine, sine], [-sine, cosine]])
        variants.append((landmarks - middle) @ rotation + middle + np.asarray([right, down]) * side)
    return np.asarray(variants, np.float32)


def _detect_turned(photo: Image, detector: FaceDetector) -> tuple[Image, Faces]:
    """Return the result of ``_detect``; of a photo without a clear face, in the best pose."""
    poses = tuple(Pose(turns) for turns in range(4))
    best = clearest(poses, lambda pose: _detect(pose.show(photo), detector)[1])
    return _detect(best.show(photo), detector)


def _detect(photo: Image, detector: FaceDetector) -> tuple[Image, Faces]:
    """Return the photo with a border, and the faces found in it at two input sizes."""
    height, width = photo.shape[:2]
    across, down = round(width * SEARCH_MARGIN), round(height * SEARCH_MARGIN)
    image = np.asarray(
        cv2.copyMakeBorder(photo, down, down, across, across, cv2.BORDER_CONSTANT), np.uint8
    )
    size = image.shape[1], image.shape[0]
    scales = [min(1.0, side / max(size)) for side in SEARCH_SIDES]
    sizes = [(max(1, round(size[0] * k)), max(1, round(size[1] * k))) for k in scales]
    inputs = [
        np.asarray(cv2.resize(image, one, interpolation=cv2.INTER_AREA), np.uint8) for one in sizes
    ]
    results = detector.detect(inputs)
    clear = [faces.take(np.flatnonzero(faces.scores >= MIN_SCORE)) for faces in results]
    return image, merge_duplicates(
        [rescale_faces(faces, one, size) for faces, one in zip(clear, sizes, strict=True)]
    )
