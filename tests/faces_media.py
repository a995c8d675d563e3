"""Real photographs for the tests of faces, decoded and scaled."""

from functools import lru_cache

import cv2
import numpy as np
import pytest
from fetch_media import fetch

from app.faces.fetch import State, state
from app.faces.packs import Pack, load_pack
from app.types import Image


@lru_cache(maxsize=8)
def photograph(medium: str) -> Image:
    """(h, w, 3) RGB of a medium of ``fetch_media.MEDIA``."""
    decoded = cv2.imread(str(fetch(medium)))
    if decoded is None:
        raise ValueError(f"{medium} is no picture")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def scaled(image: Image, width: int) -> Image:
    """``image`` at another width, reduced by area."""
    size = (width, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def ready(name: str) -> Pack:
    """A pack to test with. The default one must be there, the others may be."""
    pack = load_pack(name)
    if name != "open" and state(pack) is not State.READY:
        pytest.skip(f"the weights of {name} have not been fetched")
    return pack
