"""Shot detectors: where a shot ends and the next one begins."""

from collections.abc import Callable

from app.shots.content import ContentShots
from app.shots.none import NoShots
from app.types import ShotDetector

SHOT_DETECTORS: dict[str, Callable[[], ShotDetector]] = {"content": ContentShots, "none": NoShots}

__all__ = ["SHOT_DETECTORS", "ContentShots", "NoShots"]
