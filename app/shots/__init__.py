"""Shot detectors: where a shot ends and the next one begins."""

from collections.abc import Callable

from app.shots.content import ContentShots
from app.shots.none import NoShots
from app.shots.transnet import TransNetShots
from app.types import ShotDetector

SHOT_DETECTORS: dict[str, Callable[[], ShotDetector]] = {"content": ContentShots, "none": NoShots}
"""Shot detectors that need nothing, by their names."""
SHOT_NETWORKS: dict[str, Callable[..., ShotDetector]] = {"transnet": TransNetShots}
"""Those that are networks, by the ``kind`` of a pack: from a file, ``threads`` and ``device``."""

__all__ = ["SHOT_DETECTORS", "SHOT_NETWORKS", "ContentShots", "NoShots", "TransNetShots"]
