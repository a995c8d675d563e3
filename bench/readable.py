"""Measure whether a face can still be read in a result.

    python -m bench.readable

prints how well the measure separates hidden faces from half hidden ones.

The measure is that of ``app/verification/detail.py``.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from app.effects import EFFECTS, make_effect
from app.types import Image, Plane
from app.verification.detail import readable
from testmedia.clip import write_clip
from testmedia.scenes import SCENES
from testmedia.truth import Seen

NAMES = ("calm", "small", "dark", "leans", "pressed", "overlap", "occlusion")
DEVIATIONS = (1.5, 1.2, 1.0, 0.8, 0.6)
EVERY = 10
OFF = 0.06
"""Deviation of the sides of the boxes, in face widths."""


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
