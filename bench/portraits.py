"""Images of known people for measuring strength and identity, and short videos made from them.

Without a folder they come from the Python registry (``testmedia/fetch.py``): photographs, and
frames of videos. The people of the concert are added if it is next to the checkout. A folder is
organised like reference photos: NAME/*.jpg; every photo counts as a sitting of its own.

A video shows a portrait in good or bad conditions; evidence is found in it as in a user's video.

Media are downloaded, and never part of this project. The packages that contain them have MIT and
BSD licences. Only the official portraits of Obama and Biden are known to be free (works of the US
government); the rights in the others remain with their owners.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from app.config import Settings
from app.geometry import clip_to_pixels, grow, iou
from app.identity.evidence import Evidence
from app.pipeline import Parts
from app.pipeline.analysis import Analysis
from app.pipeline.decisions import evidence_of
from app.pipeline.face_looker import FaceLooker
from app.pipeline.people import find_photos
from app.pipeline.shot_analysis import FaceTrack
from app.types import Boxes, FaceDetector, Frame, Image, Landmarks, Size
from app.video import open_source
from testmedia.fetch import fetch

ROOT = Path(__file__).resolve().parents[1]

CONCERT = ROOT.parent / "shared" / "data" / "hamilton"
LOCAL_PHOTOS = ROOT.parent / "shared" / "data" / "photos"
CROP_SCALE = 2.2
"""Side of the region kept around a face, in sides of the face."""
PER_SITTING = 2
"""Images used per sitting: more would add nothing new."""
MIN_SCORE = 0.4
"""Minimum detection score of a labelled face."""
_GROUP = ((110, 334), (317, 211), (518, 341), (796, 415), (957, 132), (1181, 335))
_SINGER = {
    "mast": (2616, 1200, 2484, 3480, 4956),
    "night": (192, 864, 912, 1584, 1776, 2844, 3612, 3948, 4260, 5124),
    "dusk": (4500, 4824),
}
SIZE: Size = (640, 360)
FRAMES = 12
RATE = 30
BACKGROUND = (86, 92, 100)
FOUND = 0.3
"""Minimum IoU between a track and the face."""


@dataclass(frozen=True, slots=True)
class Label:
    """A labelled face in a photograph or a video.

    Images from one ``sitting`` share light, clothes and hair; they are never compared. ``at`` is
    a point in the face, in pixels; None means the largest face.
    """

    person: str
    sitting: str
    medium: str
    frame: int = 0
    at: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A face and its surroundings: (h, w, 3) RGB, with box (4,) and landmarks (5, 2) in its pixels.

    ``still`` is true for a photograph, false for a frame of a video.
    """

    name: str
    person: str
    sitting: str
    image: Image
    box: Boxes
    landmarks: Landmarks
    still: bool = True

    @property
    def sitting_key(self) -> tuple[str, str]:
        """Person and sitting; images with equal values are never compared."""
        return self.person, self.sitting

    @property
    def width(self) -> float:
        """Width of the face in pixels."""
        return float(self.box[2] - self.box[0])

    def at_width(self, width: float) -> "Portrait":
        """Return the portrait scaled so that the face is ``width`` pixels wide."""
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


LABELS = (
    Label("obama", "official", "obama.jpg"),
    Label("obama", "speaking", "obama2.jpg"),
    Label("obama", "standing", "obama3.jpg"),
    Label("biden", "standing", "biden.jpg"),
    Label("hanks", "portrait", "hanks.png"),
    *(Label(f"guest-{i}", "table", "group.jpg", at=at) for i, at in enumerate(_GROUP, start=1)),
    *(Label("driver", "car", "carphone.mp4", frame) for frame in (0, 60, 119)),
    *(Label("singer", s, "music.mp4", frame) for s, frames in _SINGER.items() for frame in frames),
    Label("dancer", "night", "music.mp4", 4368),
)
"""Labels by file name and by eye: in the music video one man sings throughout."""
CONCERT_LABELS = (
    Label("lin", "portrait", "people/lin/lin-manuel-miranda.png"),
    *(Label("lin", "concert", "clip.mp4", frame) for frame in (0, 100, 160, 200)),
    Label("alex", "portrait", "people/alex/alex-lacamoire.png"),
    Label("alex", "concert", "clip.mp4", 30, (367, 221)),
    *(Label("obama", "concert", "clip.mp4", f, (351, 97)) for f in (230, 250)),
    Label("michelle", "concert", "clip.mp4", 230, (414, 130)),
    Label("listener-1", "concert", "clip.mp4", 230, (193, 129)),
    Label("listener-2", "concert", "clip.mp4", 230, (82, 102)),
)


def load_portraits(detector: FaceDetector, folder: Path | None = None) -> tuple[Portrait, ...]:
    """Return the portraits in a folder of people, or those from the registry.

    Raises:
        PeopleError: the folder is not a folder of people.
        MediaError: a file cannot be read.
        PackError: a download failed.
        ValueError: there is no face at a label.
    """
    if folder is not None:
        photos = find_photos(folder)
        labels = [Label(name, str(p), str(p)) for name, paths in photos.items() for p in paths]
        return _portraits(detector, {label.medium: Path(label.medium) for label in labels}, labels)
    files = {label.medium: fetch(label.medium) for label in LABELS}
    portraits = _portraits(detector, files, LABELS)
    if CONCERT.is_dir():
        files = {label.medium: CONCERT / label.medium for label in CONCERT_LABELS}
        portraits += _portraits(detector, files, CONCERT_LABELS)
    return portraits


def _portraits(
    detector: FaceDetector, files: Mapping[str, Path], labels: Sequence[Label]
) -> tuple[Portrait, ...]:
    by_medium: defaultdict[str, list[Label]] = defaultdict(list)
    for label in labels:
        by_medium[label.medium].append(label)
    return tuple(
        portrait
        for medium, here in by_medium.items()
        for portrait in _of_medium(detector, files[medium], here)
    )


def _of_medium(detector: FaceDetector, path: Path, labels: Sequence[Label]) -> Iterator[Portrait]:
    numbers = {label.frame for label in labels}
    source = open_source(path)
    for frame in source:
        for label in labels:
            if label.frame == frame.index:
                yield replace(_portrait(detector, frame, label), still=source.info.is_image)
        if frame.index == max(numbers):
            return


def _portrait(detector: FaceDetector, frame: Frame, label: Label) -> Portrait:
    faces = FaceLooker(detector, {frame.index: frame}).detect_all(frame.index)
    faces = faces.take(np.flatnonzero(faces.scores >= MIN_SCORE))
    chosen = _chosen(faces.boxes, label.at)
    name = f"{Path(label.medium).name}:{label.frame}"
    region = (
        None
        if chosen is None
        else clip_to_pixels(grow(faces.boxes[[chosen]], CROP_SCALE)[0], frame.size)
    )
    if chosen is None or region is None:
        raise ValueError(f"{name}: no face of {label.person} was found")
    x1, y1, x2, y2 = region
    image = np.ascontiguousarray(frame.rgb()[y1:y2, x1:x2])
    face = faces.take([chosen]).moved((1, 1), (-x1, -y1))
    return Portrait(name, label.person, label.sitting, image, face.boxes[0], face.landmarks[0])


def _chosen(boxes: Boxes, at: tuple[int, int] | None) -> int | None:
    """Return the index of the face at a point, or of the largest one; None without a face."""
    sides = boxes[:, 2:] - boxes[:, :2]
    if at is None:
        return int(sides.prod(axis=1).argmax()) if len(boxes) else None
    point = np.asarray(at, np.float32)
    at_point = ((boxes[:, :2] <= point) & (point <= boxes[:, 2:])).all(axis=1)
    return int(np.flatnonzero(at_point)[0]) if at_point.any() else None


def people_of(portraits: Sequence[Portrait]) -> tuple[str, ...]:
    """Return the names, each once, in order of appearance."""
    return tuple(dict.fromkeys(portrait.person for portrait in portraits))


def thin_sittings(portraits: Iterable[Portrait]) -> list[Portrait]:
    """Return at most ``PER_SITTING`` portraits of each sitting."""
    taken: Counter[tuple[str, str]] = Counter()
    out = []
    for portrait in portraits:
        taken[portrait.sitting_key] += 1
        if taken[portrait.sitting_key] <= PER_SITTING:
            out.append(portrait)
    return out


def first_portraits(portraits: Sequence[Portrait], most: int | None) -> list[Portrait]:
    """Return the first images of each person."""
    taken: Counter[str] = Counter()
    out = []
    for portrait in portraits:
        taken[portrait.person] += 1
        if most is None or taken[portrait.person] <= most:
            out.append(portrait)
    return out


def group_people(portraits: Sequence[Portrait]) -> dict[str, list[int]]:
    """Group people (as indices) by the first word of their names, for groups of five and more.

    Folders with people from several sources use such names: ``lfw-ariel-sharon`` is from ``lfw``.
    """
    out: defaultdict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(people_of(portraits)):
        out[name.partition("-")[0]].append(number)
    large = {group: numbers for group, numbers in out.items() if len(numbers) >= 5}
    return large if len(large) > 1 else {}


@dataclass(frozen=True, slots=True)
class Condition:
    """How a face is shown: its width in pixels, its degradation, and the CRF of H.264.

    ``soft`` is the deviation of a Gaussian blur as a part of the width, ``light`` the remaining
    part of the light, ``cut`` the part of the width beyond the left border.
    """

    name: str
    width: int
    crf: int = 20
    soft: float = 0.0
    light: float = 1.0
    noise: float = 0.0
    cut: float = 0.0


CONDITIONS = (
    *(Condition(f"{width} px", width) for width in (96, 64, 48, 32, 24, 18)),
    Condition("48 px, out of focus", 48, soft=0.03),
    Condition("48 px, far out of focus", 48, soft=0.06),
    Condition("48 px, strongly compressed", 48, crf=36),
    Condition("48 px, in the dark", 48, light=0.15, noise=2.0),
    Condition("48 px, in deep darkness", 48, light=0.07, noise=2.0),
    Condition("48 px, a third cut off", 48, cut=0.35),
    Condition("48 px, half cut off", 48, cut=0.55),
)
CLEAR = 4
"""The first conditions are clear: sharp, bright, and at least 32 pixels wide."""
QUICK = (CONDITIONS[2],)


def picture(portrait: Portrait, condition: Condition, frame: int) -> tuple[Image, Boxes]:
    """Return a frame of the video, and the box (4,) of the face.

    The face drifts by one pixel per frame, or stays if the border cuts it.
    """
    shown = portrait.at_width(condition.width)
    image = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
    image[:] = BACKGROUND
    middle = (shown.box[:2] + shown.box[2:]) / 2
    place = SIZE[0] / 2 + frame - FRAMES / 2
    if condition.cut:
        place = condition.width * (0.5 - condition.cut)
    corner = np.rint((place, SIZE[1] / 2) - middle).astype(int)
    low = np.maximum(corner, 0)
    high = np.minimum(corner + np.asarray(shown.image.shape[1::-1]), SIZE)
    part = (
        slice(low[1] - corner[1], high[1] - corner[1]),
        slice(low[0] - corner[0], high[0] - corner[0]),
    )
    image[low[1] : high[1], low[0] : high[0]] = shown.image[part]
    box = shown.box + np.tile(corner, 2)
    return _worse(image, condition, frame), box.astype(np.float32)


def _worse(image: Image, condition: Condition, frame: int) -> Image:
    if condition.soft:
        deviation = condition.soft * condition.width
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), deviation), np.uint8)
    if condition.light == 1:
        return image
    grain = np.random.default_rng(frame).normal(0, condition.noise, image.shape)
    return np.asarray(np.clip(image * condition.light + grain, 0, 255), np.uint8)


def write_video(portrait: Portrait, condition: Condition, path: Path) -> Boxes:
    """Write the video of a portrait; return the boxes (FRAMES, 4) of the face."""
    boxes = []
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE))
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(condition.crf), "preset": "veryfast"}
        for number in range(FRAMES):
            image, box = picture(portrait, condition, number)
            boxes.append(box)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return np.asarray(boxes, np.float32)


def find_evidence(path: Path, boxes: Boxes, parts: Parts, settings: Settings) -> Evidence | None:
    """Return the pipeline's evidence for the face at ``boxes``; None without a track."""
    source = open_source(path, threads=settings.threads)
    found = Analysis(parts, settings, source.info).run(source, lambda *_: None)
    overlap, best = max(
        ((_overlap(track, boxes), i) for i, track in enumerate(found.tracks)), default=(0.0, 0)
    )
    if overlap < FOUND:
        return None
    return evidence_of(found.tracks[best])


def _overlap(track: FaceTrack, boxes: Boxes) -> float:
    last = min(len(boxes), track.first + len(track.boxes))
    alike = [
        float(iou(boxes[i : i + 1], track.boxes[i - track.first : i - track.first + 1])[0, 0])
        for i in range(track.first, last)
    ]
    return float(np.mean(alike)) if alike else 0.0
