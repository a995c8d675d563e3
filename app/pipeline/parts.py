"""The interchangeable parts of one run, chosen by the settings."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.config import Settings
from app.errors import ConfigError
from app.faces import detector_file, load_detector, load_recogniser
from app.faces.packs import Pack, load_pack
from app.identity.matching import Thresholds
from app.plan import ModelRecord, ModelsRecord
from app.types import FaceDetector, FaceRecogniser

Progress = Callable[[str, int, int | None], None]
"""Called with the stage, the frames done and the frames expected (None: not known)."""

LEAST_SCORE = 0.25
"""Faces of lower score are noise even where one is expected."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Models that are loaded once and used for many files.

    ``recogniser`` is None where nobody has to be told apart.
    """

    pack: Pack
    detector: FaceDetector
    recogniser: FaceRecogniser | None
    thresholds: Thresholds
    models: ModelsRecord


def load_parts(settings: Settings) -> Parts:
    """Load what the settings need.

    Raises:
        PackError: the pack or its weights are missing or damaged.
        DeviceError: the GPU that was asked for cannot be used.
        ConfigError: the thresholds contradict those of the pack.
    """
    pack = load_pack(settings.models, settings.models_root)
    detector = load_detector(
        pack,
        threads=settings.threads,
        precision=settings.precision,
        score=LEAST_SCORE,
        device=settings.device,
    )
    telling_apart = settings.choice != "everyone"
    recogniser = (
        load_recogniser(pack, threads=settings.threads, device=settings.device)
        if telling_apart
        else None
    )
    found = _record(pack, detector_file(pack.detector, settings.precision))
    told = _record(pack, pack.recogniser.files["float"]) if telling_apart else None
    models = ModelsRecord(pack.name, found, told)
    return Parts(pack, detector, recogniser, _thresholds(settings, pack), models)


def parts_for(parts: Parts, settings: Settings) -> Parts:
    """Take what the settings need: nothing that tells people apart where everybody is hidden."""
    if settings.choice != "everyone":
        return parts
    return replace(parts, recogniser=None, models=replace(parts.models, recogniser=None))


def _record(pack: Pack, file: str) -> ModelRecord:
    return ModelRecord(file, pack.files[file])


def _thresholds(settings: Settings, pack: Pack) -> Thresholds:
    measured = pack.thresholds
    doubtful = measured.doubtful if settings.doubtful is None else settings.doubtful
    sure = measured.sure if settings.sure is None else settings.sure
    if doubtful > sure:
        raise ConfigError(f"doubtful ({doubtful}) must not be above sure ({sure})")
    return Thresholds(doubtful=doubtful, sure=sure)
