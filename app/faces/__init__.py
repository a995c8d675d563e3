"""Faces: model packs, detectors, recognisers, alignment."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from app.errors import PackError
from app.faces.arcface import ArcFace
from app.faces.centerface import SCORE, CenterFace
from app.faces.dlib_resnet import DlibResnet
from app.faces.insightface import InsightFaceDetector, InsightFaceRecogniser
from app.faces.mtcnn import Mtcnn
from app.faces.packs import Pack, Part
from app.faces.pictures import InputSize
from app.faces.rescaled import COMMON, Rescaled, from_common
from app.faces.sface import SFace
from app.faces.yunet import YuNet
from app.networks.sessions import Device, prefers_int8
from app.types import FaceDetector, FaceRecogniser

Precision = Literal["auto", "float", "int8"]


Files = Sequence[Path]
MakeDetector = Callable[[Files, int | None, Device, float, InputSize], FaceDetector]
MakeRecogniser = Callable[[Files, int | None, Device], FaceRecogniser]


def _centerface(
    files: Files, threads: int | None, device: Device, score: float, whole: InputSize
) -> FaceDetector:
    return CenterFace(*files, threads=threads, score=score, device=device, whole=whole)


def _mtcnn(
    files: Files, threads: int | None, device: Device, score: float, whole: InputSize
) -> FaceDetector:
    return Mtcnn(files, threads=threads, score=score, device=device, whole=whole)


def _yunet(
    files: Files, threads: int | None, device: Device, score: float, whole: InputSize
) -> FaceDetector:
    return YuNet(*files, threads=threads, score=score, device=device, whole=whole)


def _scrfd(
    files: Files, threads: int | None, device: Device, score: float, whole: InputSize
) -> FaceDetector:
    return InsightFaceDetector(*files, threads=threads, score=score, device=device, whole=whole)


def _dlib_resnet(files: Files, threads: int | None, device: Device) -> FaceRecogniser:
    return DlibResnet(*files, threads=threads, mirror=True, device=device)


def _sface(files: Files, threads: int | None, device: Device) -> FaceRecogniser:
    return SFace(*files, threads=threads, device=device)


def _arcface(files: Files, threads: int | None, device: Device) -> FaceRecogniser:
    # only this one needs onnx to be loaded
    from app.faces import convert_arcface  # noqa: PLC0415
    from app.networks.onnx_graph import serialise  # noqa: PLC0415

    (model,) = (serialise(convert_arcface.convert(path.read_bytes())) for path in files)
    return ArcFace(model, threads=threads, device=device)


def _insightface(files: Files, threads: int | None, device: Device) -> FaceRecogniser:
    return InsightFaceRecogniser(*files, threads=threads, device=device)


DETECTORS: dict[str, MakeDetector] = {
    "centerface": _centerface,
    "insightface": _scrfd,
    "mtcnn": _mtcnn,
    "yunet": _yunet,
}
"""Detectors by the ``kind`` of a pack: from its files, threads, device, least score and size."""
RECOGNISERS: dict[str, MakeRecogniser] = {
    "arcface": _arcface,
    "dlib-resnet": _dlib_resnet,
    "insightface": _insightface,
    "sface": _sface,
}
"""Recognisers by the ``kind`` of a pack: from its files, threads and device."""


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
    least = from_common(score, part.score)
    detector = DETECTORS[part.kind](files, threads, device, least, part.whole)
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
    return RECOGNISERS[part.kind](files, threads, device)


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
