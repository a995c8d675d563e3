"""Pictures of people whose names are known, for the measures of strength and of identity.

Without a folder they are media of the Python registry (``testmedia/fetch.py``): photographs,
and frames of clips. Where the shared concert is beside the checkout its people are added. A folder
holds people as a folder of reference photos does: NAME/*.jpg, every photo a sitting of its own.

Media are fetched, and never part of this project. The packages that carry them are under MIT and
BSD licences; of the pictures only the official portraits of Obama and Biden are known to be free
(works of the government of the USA), the rights in the others stay with their owners.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from app.geometry import clip_to_pixels, grow
from app.pipeline.face_looker import FaceLooker
from app.pipeline.people import find_photos
from app.types import Boxes, FaceDetector, Frame, Image, Landmarks
from app.video import open_source
from testmedia.fetch import fetch

ROOT = Path(__file__).resolve().parents[1]

CONCERT = ROOT.parent / "shared" / "data" / "hamilton"
AT_HAND = ROOT.parent / "shared" / "data" / "photos"
ROOM = 2.2
"""Side of what is kept around a face, over the face's."""
PER_SITTING = 2
"""Pictures of one sitting that are used: more of them say the same again."""
SURE = 0.4
"""Score of a face that may be taken for the one that is meant."""


@dataclass(frozen=True, slots=True)
class Place:
    """A face of a medium: who it is, and where.

    Pictures of one ``sitting`` have the same light, clothes and hair: they are never compared with
    each other. ``at`` is a point in the face, in pixels; None takes the largest face.
    """

    person: str
    sitting: str
    medium: str
    frame: int = 0
    at: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A face and its surroundings: (h, w, 3) RGB, box (4,) and landmarks (5, 2) in its pixels.

    ``still`` says whether it comes from a photograph, not from a clip.
    """

    name: str
    person: str
    sitting: str
    image: Image
    box: Boxes
    landmarks: Landmarks
    still: bool = True

    @property
    def sitting_of(self) -> tuple[str, str]:
        """Who, and in which sitting: the same for pictures that are never compared."""
        return self.person, self.sitting

    @property
    def width(self) -> float:
        """Width of the face in pixels."""
        return float(self.box[2] - self.box[0])

    def at_width(self, width: float) -> "Portrait":
        """The same with a face ``width`` pixels wide: reduced by area, or enlarged smoothly."""
        scale = width / self.width
        old = self.image.shape[1], self.image.shape[0]
        size = tuple(max(1, round(side * scale)) for side in old)
        kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        image = cv2.resize(self.image, (size[0], size[1]), interpolation=kind)
        factor = np.asarray(size, np.float32) / np.asarray(old, np.float32)
        return replace(
            self,
            image=np.asarray(image, np.uint8),
            box=(self.box * np.tile(factor, 2)).astype(np.float32),
            landmarks=(self.landmarks * factor).astype(np.float32),
        )


_GROUP = ((110, 334), (317, 211), (518, 341), (796, 415), (957, 132), (1181, 335))
_SINGER = {
    "mast": (2616, 1200, 2484, 3480, 4956),
    "night": (192, 864, 912, 1584, 1776, 2844, 3612, 3948, 4260, 5124),
    "dusk": (4500, 4824),
}
PLACES = (
    Place("obama", "official", "obama.jpg"),
    Place("obama", "speaking", "obama2.jpg"),
    Place("obama", "standing", "obama3.jpg"),
    Place("biden", "standing", "biden.jpg"),
    Place("hanks", "portrait", "hanks.png"),
    *(Place(f"guest-{i}", "table", "group.jpg", at=at) for i, at in enumerate(_GROUP, start=1)),
    *(Place("driver", "car", "carphone.mp4", frame) for frame in (0, 60, 119)),
    *(Place("singer", s, "music.mp4", frame) for s, frames in _SINGER.items() for frame in frames),
    Place("dancer", "night", "music.mp4", 4368),
)
"""Labelled by file name, and by eye: in the music video one man sings throughout."""
CONCERT_PLACES = (
    Place("lin", "portrait", "people/lin/lin-manuel-miranda.png"),
    *(Place("lin", "concert", "clip.mp4", frame) for frame in (0, 100, 160, 200)),
    Place("alex", "portrait", "people/alex/alex-lacamoire.png"),
    Place("alex", "concert", "clip.mp4", 30, (367, 221)),
    *(Place("obama", "concert", "clip.mp4", f, (351, 97)) for f in (230, 250)),
    Place("michelle", "concert", "clip.mp4", 230, (414, 130)),
    Place("listener-1", "concert", "clip.mp4", 230, (193, 129)),
    Place("listener-2", "concert", "clip.mp4", 230, (82, 102)),
)


def load_portraits(detector: FaceDetector, folder: Path | None = None) -> tuple[Portrait, ...]:
    """The portraits of a folder of people, or those that come from the registry.

    Raises:
        PeopleError: the folder is not one of people.
        MediaError: a picture cannot be read.
        PackError: a medium cannot be had.
        ValueError: no face is where one is named.
    """
    if folder is not None:
        photos = find_photos(folder)
        places = [Place(name, str(p), str(p)) for name, paths in photos.items() for p in paths]
        return _portraits(detector, {place.medium: Path(place.medium) for place in places}, places)
    files = {place.medium: fetch(place.medium) for place in PLACES}
    portraits = _portraits(detector, files, PLACES)
    if CONCERT.is_dir():
        files = {place.medium: CONCERT / place.medium for place in CONCERT_PLACES}
        portraits += _portraits(detector, files, CONCERT_PLACES)
    return portraits


def _portraits(
    detector: FaceDetector, files: Mapping[str, Path], places: Sequence[Place]
) -> tuple[Portrait, ...]:
    by_medium: defaultdict[str, list[Place]] = defaultdict(list)
    for place in places:
        by_medium[place.medium].append(place)
    return tuple(
        portrait
        for medium, here in by_medium.items()
        for portrait in _of_medium(detector, files[medium], here)
    )


def _of_medium(detector: FaceDetector, path: Path, places: Sequence[Place]) -> Iterator[Portrait]:
    wanted = {place.frame for place in places}
    source = open_source(path)
    for frame in source:
        for place in places:
            if place.frame == frame.index:
                yield replace(_portrait(detector, frame, place), still=source.info.is_image)
        if frame.index == max(wanted):
            return


def _portrait(detector: FaceDetector, frame: Frame, place: Place) -> Portrait:
    faces = FaceLooker(detector, {frame.index: frame}).detect_all(frame.index)
    faces = faces.take(np.flatnonzero(faces.scores >= SURE))
    chosen = _chosen(faces.boxes, place.at)
    name = f"{Path(place.medium).name}:{place.frame}"
    region = (
        None if chosen is None else clip_to_pixels(grow(faces.boxes[[chosen]], ROOM)[0], frame.size)
    )
    if chosen is None or region is None:
        raise ValueError(f"{name}: no face of {place.person} is found")
    x1, y1, x2, y2 = region
    image = np.ascontiguousarray(frame.rgb()[y1:y2, x1:x2])
    face = faces.take([chosen]).moved((1, 1), (-x1, -y1))
    return Portrait(name, place.person, place.sitting, image, face.boxes[0], face.landmarks[0])


def _chosen(boxes: Boxes, at: tuple[int, int] | None) -> int | None:
    """The index of the face at a point, or of the largest one; None where there is none."""
    sides = boxes[:, 2:] - boxes[:, :2]
    if at is None:
        return int(sides.prod(axis=1).argmax()) if len(boxes) else None
    point = np.asarray(at, np.float32)
    there = ((boxes[:, :2] <= point) & (point <= boxes[:, 2:])).all(axis=1)
    return int(np.flatnonzero(there)[0]) if there.any() else None


def people_of(portraits: Sequence[Portrait]) -> tuple[str, ...]:
    """The names, each once, in order of appearance."""
    return tuple(dict.fromkeys(portrait.person for portrait in portraits))


def some(portraits: Iterable[Portrait]) -> list[Portrait]:
    """At most ``PER_SITTING`` of each sitting."""
    taken: Counter[tuple[str, str]] = Counter()
    out = []
    for portrait in portraits:
        taken[portrait.sitting_of] += 1
        if taken[portrait.sitting_of] <= PER_SITTING:
            out.append(portrait)
    return out
