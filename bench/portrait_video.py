"""Short videos that show a portrait in good and bad conditions, and the evidence found in them."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from app.config import Settings
from app.geometry import iou
from app.identity.evidence import Evidence
from app.pipeline import Parts
from app.pipeline.analysis import Analysis
from app.pipeline.decisions import evidence_of
from app.pipeline.shot_analysis import FaceTrack
from app.types import Boxes, Image, Size
from app.video import open_source
from bench.portraits import Portrait

SIZE: Size = (640, 360)
FRAMES = 12
RATE = 30
BACKGROUND = (86, 92, 100)
FOUND = 0.3
"""Minimum IoU between a track and the face."""


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


def write(portrait: Portrait, condition: Condition, path: Path) -> Boxes:
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


def evidence(path: Path, boxes: Boxes, parts: Parts, settings: Settings) -> Evidence | None:
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
