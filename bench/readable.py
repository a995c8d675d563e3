"""Measure whether a face can still be read in a result.

    python -m bench.readable

prints how well the measure separates hidden faces from half hidden ones.

A face differs from others in its detail. A hidden face keeps light and colour of at most 4 x 4
cells. So everything that coarse is removed from both frames, and the rest is correlated.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from app.effects import EFFECTS, make_effect
from app.types import Image, Plane
from testmedia.clip import write_clip
from testmedia.scenes import SCENES
from testmedia.truth import Seen

SIDE = 32
"""Side in pixels to which a face is scaled."""
TILES = 4
"""Tiles per side. They are compared one by one: the edge of a mask over a part of the face is
detail too, and must not hide what the rest shows."""
COARSE = 0.8
"""Deviation of the removed blur in those pixels: a tenth of one of 4 cells. With more, the smooth
transitions between cells count as detail (docs/decisions/measuring-leaks.md)."""
READABLE = 0.21
"""Minimum correlation of a readable face. Half hidden faces have at least 0.21. Completely hidden
ones have at most 0.10 in images, and more in video after compression."""
FAINT = 0.5
"""Grey levels, root mean square over a tile. Weaker detail in a result is rounding and compression
noise, and counts as this strong, or as strong as before."""

_ROWS, _COLUMNS = np.mgrid[0:SIDE, 0:SIDE] * 2 / (SIDE - 1) - 1
_FACE = (_ROWS**2 + _COLUMNS**2 <= 1).astype(np.float32)
"""The ellipse in the box; the corners are background."""

Detail = NDArray[np.float32]
"""Detail of a face (tiles, pixels)."""


Box = tuple[float, float, float, float]
NAMES = ("calm", "small", "dark", "leans", "pressed", "overlap", "occlusion")
DEVIATIONS = (1.5, 1.2, 1.0, 0.8, 0.6)
EVERY = 10
OFF = 0.06
"""Deviation of the sides of the boxes, in face widths."""


def readable(before: Image, after: Image, box: Box, coarse: float = COARSE) -> float:
    """Return the correlation (-1..1) of a face's detail in two images (h, w, 3) of one size.

    It is the mean over the tiles, weighted by their detail before. ``box`` is x1, y1, x2, y2 in
    pixels, and may extend beyond the image. The result is 0 if the face is outside or has no
    detail.
    """
    one, other = _detail(before, box, coarse), _detail(after, box, coarse)
    if one is None or other is None:
        return 0.0
    energy = (one**2).sum(axis=1)
    faint = np.minimum(energy, one.shape[1] * FAINT**2)
    left = np.maximum((other**2).sum(axis=1), faint)
    alike = (one * other).sum(axis=1) / np.sqrt(np.maximum(energy * left, 1e-6))
    return float((alike * energy).sum() / max(energy.sum(), 1e-6))


def _detail(picture: Image, box: Box, coarse: float) -> Detail | None:
    """Return the grey levels of the face without coarse structure."""
    x1, y1, x2, y2 = (max(0, round(value)) for value in box)
    part = picture[y1:y2, x1:x2]
    if min(part.shape[:2]) < 2:
        return None
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    fine = np.asarray(small - cv2.GaussianBlur(small, (0, 0), coarse), np.float32) * _FACE
    side = SIDE // TILES
    tiles = fine.reshape(TILES, side, TILES, side).swapaxes(1, 2)
    return np.asarray(tiles.reshape(TILES**2, side**2), np.float32)


def faces(folder: Path) -> Iterator[tuple[Image, Seen]]:
    """Yield every tenth frame of the scenes, with each face that is completely visible."""
    for name in NAMES:
        clip = write_clip(SCENES[name](), folder / f"{name}.mp4")
        with av.open(str(clip.path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number % EVERY:
                    continue
                picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                yield from ((picture, f) for f in clip.truth.at(number) if f.visible >= 1)


def hidden(picture: Image, face: Seen, random: np.random.Generator) -> Iterator[Image]:
    """Yield the image with the face hidden by each effect."""
    box = np.asarray([face.box], np.float32)
    for name in EFFECTS:
        after = picture.copy()
        effect = make_effect(name, shape="ellipse", margin=0.2, feather=0.1, cells=4)
        off = random.normal(0, OFF * face.width, box.shape).astype(np.float32)
        effect.hide((Plane(after, 0, 0, (0, 0, 0)),), box + off)
        yield after


def halves(picture: Image, face: Seen) -> Iterator[Image]:
    """Yield the image with the left, and with the upper half of the face in black."""
    x1, y1, x2, y2 = (max(0, round(value)) for value in face.box)
    for right, bottom in (((x1 + x2) // 2, y2), (x2, (y1 + y2) // 2)):
        after = picture.copy()
        after[y1:bottom, x1:right] = 0
        yield after


def main() -> int:
    """Print the table."""
    argparse.ArgumentParser(
        description="Measure the readability of hidden and half hidden faces."
    ).parse_args()
    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as name:
        seen = list(faces(Path(name)))
    whole = [(p, after, f.box) for p, f in seen for after in hidden(p, f, random)]
    part = [(p, after, f.box) for p, f in seen for after in halves(p, f)]
    print(
        f"{len(seen)} faces\n\n"
        "| deviation | highest for a hidden face | lowest for a half hidden face |"
    )
    print("|---|---|---|")
    for coarse in DEVIATIONS:
        most = max(readable(*pictures, coarse) for pictures in whole)
        least = min(readable(*pictures, coarse) for pictures in part)
        print(f"| {coarse} | {most:.2f} | {least:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
