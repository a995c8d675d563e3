"""Faces of an image with their embeddings, for those who may have them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import UsageError
from app.faces.alignment import align
from app.faces.quality import lit
from app.pipeline import Parts
from app.pipeline.face_looker import FaceLooker
from app.types import Embeddings, Faces, Frame, Image, MediaInfo
from app.video import open_source
from app.web.uploads import saving

LEAST = 0.5
"""Score from which a face is told."""


def write_faces(media: Path, info: MediaInfo, parts: Parts, target: Path) -> dict[str, int]:
    """Write box, score, landmarks and embedding of each face of an image; returns counts.

    Raises:
        UsageError: it is a video.
        MediaError: it cannot be read.
        DiskFull: there is no room for the answer.
    """
    if not info.is_image:
        raise UsageError("embeddings are told of images only; ask for the plan of a video")
    (frame,) = open_source(media)
    faces, embeddings = _look(frame, parts)
    told: dict[str, Any] = {
        "width": info.size[0],
        "height": info.size[1],
        "models": {"pack": parts.models.pack},
        "faces": [_told(faces, embeddings, number) for number in range(len(faces))],
    }
    with saving(target) as file:
        file.write(json.dumps(told, allow_nan=False).encode())
    return {"frames": 1, "faces": len(faces)}


def _look(frame: Frame, parts: Parts) -> tuple[Faces, Embeddings]:
    found = FaceLooker(parts.detector, {0: frame}).detect_all(0)
    faces = found.take(np.flatnonzero(found.scores >= LEAST))
    assert parts.recogniser is not None  # noqa: S101 - the service has loaded it
    if not len(faces):
        return faces, np.zeros((0, parts.recogniser.dimension), np.float32)
    image: Image = frame.rgb()
    chips = align(image, faces.landmarks, parts.recogniser.template, parts.recogniser.chip_size)
    return faces, parts.recogniser.embed([lit(chip) for chip in chips])


def _told(faces: Faces, embeddings: Embeddings, number: int) -> dict[str, Any]:
    return {
        "box": np.round(faces.boxes[number].astype(float), 2).tolist(),
        "score": round(float(faces.scores[number]), 4),
        "landmarks": np.round(faces.landmarks[number].astype(float), 2).tolist(),
        "embedding": np.round(embeddings[number].astype(float), 6).tolist(),
    }
