"""The interchangeable parts of one run, chosen by the settings."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.config import Settings
from app.errors import ConfigError
from app.faces import detector_files, load_detector, load_recogniser
from app.identity.policies import Policy
from app.identity.scale import Scale, knots
from app.packs.catalogue import Pack, chosen, load_pack
from app.plan import ModelRecord, ModelsRecord
from app.types import FaceDetector, FaceRecogniser, ShotDetector
from app.video import check_encoder

LEAST_SCORE = 0.25
"""Faces of lower score are noise even where one is expected."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is loaded once and used for many files; any of it can be one of your own.

    ``recogniser`` is None where nobody has to be told apart. ``shots`` makes a shot detector for
    each file. Without it, or without a ``policy``, the settings choose.
    """

    detector: FaceDetector
    recogniser: FaceRecogniser | None
    scale: Scale
    models: ModelsRecord
    shots: Callable[[], ShotDetector] | None = None
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Packs:
    """Whose detector and whose recogniser are used; mostly those of one pack."""

    detector: Pack
    recogniser: Pack

    @property
    def name(self) -> str:
        """One name, or both."""
        names = dict.fromkeys((self.detector.name, self.recogniser.name))
        return "+".join(names)


def packs_of(settings: Settings) -> Packs:
    """The packs that the settings name.

    Raises:
        PackError: there is none of such a name, or its description is wrong.
    """
    root = settings.models_root
    models = chosen(settings.models, root)
    detector, recogniser = (
        load_pack(name or models, root) for name in (settings.detector, settings.recogniser)
    )
    return Packs(detector, recogniser)


def load_parts(settings: Settings, *, recogniser: bool | None = None) -> Parts:
    """Load the models that the settings name.

    Args:
        settings: choose packs, device, precision, threads and thresholds.
        recogniser: whether to load a recogniser; default: unless everyone is hidden.

    Raises:
        PackError: a pack or its weights are missing or damaged.
        DeviceError: a GPU was asked for, and cannot be used.
        ConfigError: the thresholds contradict those of the pack.
    """
    check_encoder(settings.encoder)
    packs = packs_of(settings)
    detector = load_detector(
        packs.detector,
        threads=settings.threads,
        precision=settings.precision,
        score=LEAST_SCORE,
        device=settings.device,
    )
    tell_apart = settings.choice != "everyone" if recogniser is None else recogniser
    loaded = None
    if tell_apart:
        loaded = load_recogniser(packs.recogniser, threads=settings.threads, device=settings.device)
    files = detector_files(packs.detector.part("detector"), settings.precision)
    found = _record(packs.detector, files)
    told = _record(packs.recogniser, packs.recogniser.part("recogniser").files["float"])
    models = ModelsRecord(packs.name, found, told if loaded is not None else None)
    return Parts(detector, loaded, _scale(settings, packs.recogniser), models)


def parts_for(parts: Parts, settings: Settings) -> Parts:
    """The parts that the settings need: no recogniser if everyone is hidden."""
    if settings.choice != "everyone":
        return parts
    return replace(parts, recogniser=None, models=replace(parts.models, recogniser=None))


def _record(pack: Pack, files: Sequence[str]) -> ModelRecord:
    """The files of a part: one by its hash, several by the hash of their hashes."""
    digests = [pack.files[file] for file in files]
    if len(files) == 1:
        return ModelRecord(files[0], digests[0])
    return ModelRecord("+".join(files), hashlib.sha256("".join(digests).encode()).hexdigest())


def _scale(settings: Settings, pack: Pack) -> Scale:
    """The scale of a pack, with the similarities that the settings put in its place."""
    try:
        scale = Scale(knots(pack.scale.curve))
        return scale.changed(doubtful=settings.doubtful, sure=settings.sure)
    except ValueError as error:
        raise ConfigError(f"{pack.name}: doubtful and sure contradict the pack: {error}") from error
