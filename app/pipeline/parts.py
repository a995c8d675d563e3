"""The interchangeable parts of a run: models, scale, shot detector and policy."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.config import Settings
from app.errors import ConfigError
from app.faces import detector_files, load_detector, load_recogniser
from app.identity.policies import Policy
from app.identity.scale import Scale, knots
from app.networks import Runtime
from app.packs.catalogue import Pack, choose_pack, load_pack
from app.plan import ModelRecord, ModelsRecord
from app.types import FaceDetector, FaceRecogniser, ShotDetector
from app.video import check_encoder

MIN_SCORE = 0.25
"""Detections of lower score are noise, even near a face that was seen before."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that are loaded once and used for many files; each can be replaced by your own.

    ``recogniser`` is None if everyone is hidden. ``shots`` creates a shot detector for each file.
    Without ``shots`` or ``policy`` the settings choose them.
    """

    detector: FaceDetector
    recogniser: FaceRecogniser | None
    scale: Scale
    models: ModelsRecord
    shots: Callable[[], ShotDetector] | None = None
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Packs:
    """The packs of the detector and of the recogniser; usually the same pack."""

    detector: Pack
    recogniser: Pack

    @property
    def name(self) -> str:
        """The name of the pack, or both names."""
        names = dict.fromkeys((self.detector.name, self.recogniser.name))
        return "+".join(names)


def packs_of(settings: Settings) -> Packs:
    """Return the packs that the settings name.

    Raises:
        ConfigError: there is no such pack.
        PackError: its description is wrong.
    """
    root = settings.models_root
    models = choose_pack(settings.models, root)
    detector, recogniser = (
        load_pack(name or models, root) for name in (settings.detector, settings.recogniser)
    )
    return Packs(detector, recogniser)


def load_parts(settings: Settings, *, recogniser: bool | None = None) -> Parts:
    """Load the models that the settings name.

    Args:
        settings: choose packs, device, precision, threads and thresholds.
        recogniser: whether to load a recogniser; default: only if somebody must be recognised.

    Raises:
        PackError: a pack or its weights are missing or damaged.
        DeviceError: the GPU that was requested cannot be used.
        ConfigError: there is no such pack, or the thresholds contradict those of the pack.
    """
    check_encoder(settings.encoder)
    packs = packs_of(settings)
    runtime = Runtime(settings.threads, settings.device)
    detector = load_detector(
        packs.detector,
        precision=settings.precision,
        score=MIN_SCORE,
        runtime=runtime,
    )
    needs_recogniser = settings.choice != "everyone" if recogniser is None else recogniser
    loaded = None
    if needs_recogniser:
        loaded = load_recogniser(packs.recogniser, runtime=runtime)
    files = detector_files(packs.detector.part("detector"), settings.precision)
    recogniser_record = None
    if loaded is not None:
        recogniser_part = packs.recogniser.part("recogniser")
        recogniser_record = _record(packs.recogniser, recogniser_part.files["float"])
    models = ModelsRecord(packs.name, _record(packs.detector, files), recogniser_record)
    return Parts(detector, loaded, _scale(settings, packs.recogniser), models)


def parts_for(parts: Parts, settings: Settings) -> Parts:
    """Return the parts that the settings need: no recogniser if everyone is hidden."""
    if settings.choice != "everyone":
        return parts
    return replace(parts, recogniser=None, models=replace(parts.models, recogniser=None))


def _record(pack: Pack, files: Sequence[str]) -> ModelRecord:
    """Record the files of a part; several files get the hash of their hashes."""
    digests = [pack.files[file] for file in files]
    if len(files) == 1:
        return ModelRecord(files[0], digests[0])
    return ModelRecord("+".join(files), hashlib.sha256("".join(digests).encode()).hexdigest())


def _scale(settings: Settings, pack: Pack) -> Scale:
    """Return the scale of a pack, with the thresholds of the settings if they are given."""
    try:
        scale = Scale(knots(pack.scale.curve))
        return scale.changed(doubtful=settings.doubtful, sure=settings.sure)
    except ValueError as error:
        raise ConfigError(f"{pack.name}: doubtful and sure contradict the pack: {error}") from error
