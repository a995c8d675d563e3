"""PySceneDetect's measure of change between two images.

Importing the package starts the program ``ffmpeg`` from the ``PATH`` to see whether it is there.
Nothing here needs it, and a program that anybody may have put there must not run. So the modules
are loaded without the package around them.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any, Final

from app.types import Image

_PACKAGE: Final = "scenedetect"
_FRAME_RATE: Final = Fraction(25)
"""PySceneDetect needs a rate for its time codes, but the result does not depend on it."""

Scorer = Callable[[int, Image], float]
"""Takes the number of an image and its pixels (h, w, 3) BGR; returns the change since the previous
image: the mean of hue, saturation and value, 0 to 255; 0 for the first one."""


def make_scorer() -> Scorer:
    """Make a measure of change, without the decisions of PySceneDetect."""
    detector_class, time_code = _classes()
    detector = detector_class(threshold=255.0, min_scene_len=0)

    def score(index: int, bgr: Image) -> float:
        detector.process_frame(time_code(index, _FRAME_RATE), bgr)
        return float(detector._frame_score or 0.0)

    return score


@cache
def _classes() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Load the detector of content and the time code."""
    with _bare_package():
        content = import_module(f"{_PACKAGE}.detectors.content_detector")
        return content.ContentDetector, import_module(f"{_PACKAGE}.common").FrameTimecode


@contextmanager
def _bare_package() -> Iterator[None]:
    """Let the modules of the package be imported without running its ``__init__``.

    Afterwards they are forgotten, so that a program which uses this one as a library can import the
    package as a whole. If it has done so already, its modules are used.
    """
    if _PACKAGE in sys.modules:
        yield
        return
    spec = find_spec(_PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {_PACKAGE!r}", name=_PACKAGE)
    sys.modules[_PACKAGE] = module_from_spec(spec)
    try:
        yield
    finally:
        for name in [one for one in sys.modules if one.split(".")[0] == _PACKAGE]:
            del sys.modules[name]
