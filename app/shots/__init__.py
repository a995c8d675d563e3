"""Shot detectors: they find cuts, the frames with which a new shot begins."""

from collections.abc import Callable
from pathlib import Path

from app.networks import Device
from app.packs.catalogue import load_pack
from app.shots.content import ContentShots, NoShots
from app.shots.transnet import TransNetShots
from app.types import ShotDetector

__all__ = [
    "SHOT_DETECTORS",
    "SHOT_NETWORKS",
    "ContentShots",
    "NoShots",
    "TransNetShots",
    "load_shot_detector",
]

SHOT_DETECTORS: dict[str, Callable[[], ShotDetector]] = {"content": ContentShots, "none": NoShots}
"""Shot detectors without weights, by name."""
SHOT_NETWORKS: dict[str, Callable[..., ShotDetector]] = {"transnet": TransNetShots}
"""Shot detectors that are networks, by the ``kind`` in a pack. They take the file, and ``threads``
and ``device``."""


def load_shot_detector(
    name: str,
    *,
    models_root: Path | None = None,
    threads: int | None = None,
    device: Device = "cpu",
) -> ShotDetector:
    """Load a shot detector.

    Args:
        name: a key of ``SHOT_DETECTORS``, or the name of a pack with a shot detector.
        models_root: the folder with the packs; default: the ``models`` folder of this program.
        threads: the maximum number of threads; default: the CPUs this process may use.
        device: where to run a network.

    Raises:
        PackError: the weights are missing or damaged.
        DeviceError: a GPU was requested, but cannot be used.
        ModelError: the runtime cannot load the weights.
    """
    if name in SHOT_DETECTORS:
        return SHOT_DETECTORS[name]()
    pack = load_pack(name, models_root)
    part = pack.part("shots")
    (file,) = part.files["float"]
    return SHOT_NETWORKS[part.kind](pack.checked(file), threads=threads, device=device)
