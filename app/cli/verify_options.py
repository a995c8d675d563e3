"""The options of ``face-blur verify``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

SETTINGS = ("people", "models", "detector", "recogniser", "device")
"""Settings that have their own option here."""


def add_verify(make: Callable[..., Any], add_settings: Callable[..., None]) -> None:
    """Add the command; ``make`` makes its parser, and ``add_settings`` adds options of settings."""
    parser = make("verify", "look at every frame of a result again: can a hidden face be seen?")
    parser.add_argument("result", type=Path, metavar="RESULT", help="video or image to look at")
    parser.add_argument("plan", type=Path, metavar="PLAN", help="plan by which it was made")
    parser.add_argument(
        "--media",
        type=Path,
        metavar="FILE",
        help="the video or image from which it was made; with it, the detail of every hidden face"
        " is compared (recommended)",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--quiet", action="store_true", help="show no progress and no warnings")
    add_settings(parser, *SETTINGS)
