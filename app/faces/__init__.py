"""Faces: model packs, detectors, recognisers, alignment."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from app.errors import PackError
from app.faces.centerface import SCORE, CenterFace
from app.faces.dlib_resnet import DlibResnet
from app.faces.packs import Pack, Part
from app.faces.sessions import prefers_int8
from app.types import FaceDetector, FaceRecogniser

Precision = Literal["auto", "float", "int8"]


def _centerface(model: Path, threads: int | None, score: float) -> FaceDetector:
    return CenterFace(model, threads=threads, score=score)


def _dlib_resnet(model: Path, threads: int | None) -> FaceRecogniser:
    return DlibResnet(model, threads=threads, mirror=True)


DETECTORS: dict[str, Callable[[Path, int | None, float], FaceDetector]] = {
    "centerface": _centerface,
}
"""Detectors by the ``kind`` of a pack: from file, threads and least score."""
RECOGNISERS: dict[str, Callable[[Path, int | None], FaceRecogniser]] = {
    "dlib-resnet": _dlib_resnet,
}
"""Recognisers by the ``kind`` of a pack: from file and threads."""


def load_detector(
    pack: Pack,
    *,
    threads: int | None = None,
    precision: Precision = "auto",
    score: float = SCORE,
) -> FaceDetector:
    """The detector of a pack, its weights checked.

    Args:
        pack: whose weights have been fetched.
        threads: at most; default: the CPUs this process may use.
        precision: ``auto`` takes the 8-bit file where the CPU is faster with it.
        score: faces of lower score are not returned, 0..1.

    Raises:
        PackError: weights are missing or damaged, or nothing here reads them.
        ModelError: the runtime cannot load them.
    """
    if pack.detector.kind not in DETECTORS:
        raise PackError(f"{pack.name}: there is no detector {pack.detector.kind!r}")
    model = pack.checked(detector_file(pack.detector, precision))
    return DETECTORS[pack.detector.kind](model, threads, score)


def load_recogniser(pack: Pack, *, threads: int | None = None) -> FaceRecogniser:
    """The recogniser of a pack, its weights checked.

    Raises:
        PackError: weights are missing or damaged, or nothing here reads them.
        ModelError: the runtime cannot load them.
    """
    if pack.recogniser.kind not in RECOGNISERS:
        raise PackError(f"{pack.name}: there is no recogniser {pack.recogniser.kind!r}")
    return RECOGNISERS[pack.recogniser.kind](pack.checked(pack.recogniser.files["float"]), threads)


def detector_file(part: Part, precision: Precision = "auto") -> str:
    """Name of the file that a detector of this precision is loaded from.

    Raises:
        PackError: the pack has no such file.
    """
    if precision == "auto":
        precision = "int8" if "int8" in part.files and prefers_int8() else "float"
    if precision not in part.files:
        raise PackError(f"detector {part.kind}: the pack has no {precision} file")
    return part.files[precision]
