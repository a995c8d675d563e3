"""The shot detector that the settings choose."""

from app.config import Settings
from app.packs.catalogue import load_pack
from app.shots import SHOT_DETECTORS, SHOT_NETWORKS
from app.types import ShotDetector


def shot_detector(settings: Settings) -> ShotDetector:
    """Make it; one that is a network has the weights of the pack of its name.

    Raises:
        PackError: the weights are missing or damaged.
        DeviceError: the GPU that was asked for cannot be used.
        ModelError: the runtime cannot load them.
    """
    if settings.shots in SHOT_DETECTORS:
        return SHOT_DETECTORS[settings.shots]()
    pack = load_pack(settings.shots, settings.models_root)
    part = pack.part("shots")
    (file,) = part.files["float"]
    make = SHOT_NETWORKS[part.kind]
    return make(pack.checked(file), threads=settings.threads, device=settings.device)
