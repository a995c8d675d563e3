"""Real photographs for the tests of faces, decoded and scaled."""

import shutil
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.packs.catalogue import Pack, load_pack
from app.packs.description import PartName
from app.packs.fetch import State, state
from app.packs.fetch import fetch as fetch_weights
from app.types import Image
from testmedia.fetch import fetch


@lru_cache(maxsize=8)
def photograph(medium: str) -> Image:
    """(h, w, 3) RGB of a medium of ``testmedia.fetch.MEDIA``."""
    decoded = cv2.imread(str(fetch(medium)))
    if decoded is None:
        raise ValueError(f"{medium} is no picture")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def scaled(image: Image, width: int) -> Image:
    """``image`` at another width, reduced by area."""
    size = (width, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def ready(name: str, part: PartName | None = None) -> Pack:
    """A pack to test with, or only one part of it.

    ``dlib`` must be there, and the detector of ``open``; the others may be.
    """
    pack = load_pack(name)
    needed = pack if part is None else pack.only(part)
    if (name, part) not in {("dlib", part), ("open", "detector")} and (
        state(needed) is not State.READY
    ):
        pytest.skip(f"the weights of {name} have not been fetched")
    return pack


def with_detector(name: str, root: Path, given: Path | None = None) -> Pack:
    """A pack in a folder of its own, with the weights of its detector only.

    They come from the folder ``given``, else from where the pack says.
    """
    root.mkdir(parents=True, exist_ok=True)
    (root / name).mkdir()
    shutil.copy(load_pack(name).folder / "pack.toml", root / name)
    pack = load_pack(name, root)
    fetch_weights(pack.only("detector"), _silent, _silent, accepted=True, folder=given)
    return pack


def _silent(*_: object) -> None:
    """Tell nobody."""
