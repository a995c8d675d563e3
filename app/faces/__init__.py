"""Faces: model packs, detectors, recognisers, alignment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from app.errors import PackError
from app.faces.arcface import ArcFace
from app.faces.centerface import SCORE, CenterFace
from app.faces.dlib_resnet import DlibResnet
from app.faces.insightface import InsightFaceDetector, InsightFaceRecogniser
from app.faces.mtcnn import Mtcnn
from app.faces.reidentification import Reidentification
from app.faces.score_scale import Rescaled, from_common
from app.faces.sface import SFace
from app.faces.yunet import YuNet
from app.networks.sessions import Device, prefers_int8
from app.packs.catalogue import Pack, Part
from app.packs.input_size import COMMON
from app.types import FaceDetector, FaceRecogniser

Precision = Literal["auto", "float", "int8"]


DETECTORS: dict[str, Callable[..., FaceDetector]] = {
    "centerface": CenterFace,
    "insightface": InsightFaceDetector,
    "mtcnn": Mtcnn,
    "yunet": YuNet,
}
"""Detectors by the ``kind`` of a pack: from its files, and ``threads``, ``score``, ``device`` and
``whole``."""


def _arcface(file: Path, **options: Any) -> FaceRecogniser:
    # only this one needs onnx to be loaded
    from app.networks.onnx_graph import serialise  # noqa: PLC0415
    from app.packs.convert import arcface  # noqa: PLC0415

    return ArcFace(serialise(arcface.convert(file.read_bytes())), **options)


RECOGNISERS: dict[str, Callable[..., FaceRecogniser]] = {
    "arcface": _arcface,
    "dlib-resnet": DlibResnet,
    "insightface": InsightFaceRecogniser,
    "reidentification": Reidentification,
    "sface": SFace,
}
"""Recognisers by the ``kind`` of a pack: from its files, and ``threads`` and ``device``."""


def load_detector(
    pack: Pack,
    *,
    threads: int | None = None,
    precision: Precision = "auto",
    score: float = SCORE,
    device: Device = "cpu",
) -> FaceDetector:
    """The detector of a pack, its weights checked.

    Args:
        pack: whose weights have been fetched.
        threads: at most; default: the CPUs this process may use.
        precision: ``auto`` takes the 8-bit file where the CPU is faster with it.
        score: faces of lower score are not returned, 0..1 on the scale that all share.
        device: where to run; on a GPU 8-bit files are not faster.

    Raises:
        PackError: weights are missing or damaged, or nothing here reads them.
        DeviceError: the GPU that was asked for cannot be used.
        ModelError: the runtime cannot load them.
    """
    part = pack.part("detector")
    if part.kind not in DETECTORS:
        raise PackError(f"{pack.name}: there is no detector {part.kind!r}")
    files = [pack.checked(file) for file in detector_files(part, precision)]
    detector = DETECTORS[part.kind](
        *files,
        threads=threads,
        score=from_common(score, part.score),
        device=device,
        whole=part.whole,
    )
    return detector if part.score == COMMON else Rescaled(detector, part.score)


def load_recogniser(
    pack: Pack, *, threads: int | None = None, device: Device = "cpu"
) -> FaceRecogniser:
    """The recogniser of a pack, its weights checked.

    Raises:
        PackError: weights are missing or damaged, or nothing here reads them.
        DeviceError: the GPU that was asked for cannot be used.
        ModelError: the runtime cannot load them.
    """
    part = pack.part("recogniser")
    if part.kind not in RECOGNISERS:
        raise PackError(f"{pack.name}: there is no recogniser {part.kind!r}")
    files = [pack.checked(file) for file in part.files["float"]]
    return RECOGNISERS[part.kind](*files, threads=threads, device=device)


def detector_files(part: Part, precision: Precision = "auto") -> tuple[str, ...]:
    """Names of the files that a detector of this precision is loaded from.

    Raises:
        PackError: the pack has no such file.
    """
    if precision == "auto":
        precision = "int8" if "int8" in part.files and prefers_int8() else "float"
    if precision not in part.files:
        raise PackError(f"detector {part.kind}: the pack has no {precision} file")
    return part.files[precision]
