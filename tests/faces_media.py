"""Real photographs and packs for tests of faces."""

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
    """A medium of ``testmedia.fetch.MEDIA`` as (h, w, 3) RGB."""
    decoded = cv2.imread(str(fetch(medium)))
    if decoded is None:
        raise ValueError(f"{medium} is not an image")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def scaled(image: Image, width: int) -> Image:
    """``image`` reduced to another width, averaging areas."""
    size = (width, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def ready(name: str, part: PartName | None = None) -> Pack:
    """Load a pack for a test; skip the test without its weights, or those of one ``part``.

    The weights of ``dlib`` and the detector of ``open`` are required: without them the test fails.
    """
    pack = load_pack(name)
    needed = pack if part is None else pack.only(part)
    if (name, part) not in {("dlib", part), ("open", "detector")} and (
        state(needed) is not State.READY
    ):
        pytest.skip(f"the weights of {name} have not been fetched")
    return pack


def with_detector(name: str, root: Path, given: Path | None = None) -> Pack:
    """Create a pack in folder ``root``, with the weights of its detector only.

    They come from the folder ``given``, or else from the source of the pack.
    """
    root.mkdir(parents=True, exist_ok=True)
    (root / name).mkdir()
    shutil.copy(load_pack(name).folder / "pack.toml", root / name)
    pack = load_pack(name, root)
    fetch_weights(pack.only("detector"), _silent, _silent, accepted=True, folder=given)
    return pack


def _silent(*_: object) -> None:
    """Ignore progress and questions."""
