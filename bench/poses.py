"""Measure clips that lie on their side or head, or have pixels that are not square.

    python -m bench.poses [VIDEO...]

First, the leaks of scenes that are stored in other shapes. Then, for each ordinary scene and video:
the CPU time of the analysis with ``rotate=auto`` and ``rotate=none``, and the highest score of a
face in a turned look; both also after all faces were hidden.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from app.config import Settings
from app.pipeline import FaceBlur, Parts, load_parts
from app.pipeline.face_looker import FaceLooker
from app.pipeline.poses import Pose
from app.video import open_source
from bench.scoring import Score, score
from testmedia.clip import write_clip
from testmedia.fetch import fetch
from testmedia.reshape import Reshape
from testmedia.scenes import SCENES

RESHAPED = ("cuts", "crowd", "dark", "small", "blinks", "sizes")
SHAPES = (
    *(Reshape(turns) for turns in (1, 2, 3)),
    *(Reshape(aspect=Fraction(n, d)) for n, d in ((4, 3), (2, 1), (3, 1), (4, 1), (1, 2), (1, 4))),
)
TINY = ("small",)
"""Scenes whose faces have only 8 lines at an aspect of 1/4: they are not found."""
ORDINARY = ("calm", "crowd", "small", "dark")
EVERY = 5
"""Frames from one of the looks whose scores are compared to the next."""
RUNS = 3


def leaks(folder: Path, shape: Reshape, parts: Parts) -> Score:
    """Return the score of all scenes in one shape.

    Where pixels are not square, faces are hidden in black: in a face that is stored in few columns
    or lines, the cells of a blur are as fine as its own detail, and would count as readable.
    """
    total, settings = Score(), Settings(effect="blur" if shape.aspect == 1 else "solid")
    for name in RESHAPED:
        if name in TINY and shape.aspect < Fraction(1, 2):
            continue
        clip = write_clip(SCENES[name](), folder / "clip.mp4", shape=shape)
        output = folder / "output.mp4"
        FaceBlur(settings, parts=parts).blur(clip.path, output, overwrite=True)
        total += score(clip.path, output, clip.truth, clip.truth.people)
    return total


def cost(video: Path, parts: Parts, rotate: str) -> float:
    """Return the least CPU milliseconds per frame of some analyses."""
    face_blur, times = FaceBlur(Settings(rotate=rotate), parts=parts), []
    for _ in range(RUNS):
        begin = time.process_time()
        frames = face_blur.analyse(str(video)).source.frames
        times.append(1000 * (time.process_time() - begin) / frames)
    return min(times)


def _costs(video: Path, parts: Parts) -> str:
    auto, none = (cost(video, parts, rotate) for rotate in ("auto", "none"))
    return f"{auto:.2f} instead of {none:.2f}"


def turned_scores(video: Path, parts: Parts) -> list[float]:
    """Return the highest score in any turned pose, for every fifth frame."""
    scores = []
    for frame in open_source(str(video)):
        if frame.index % EVERY == 0:
            looks = [
                FaceLooker(parts.detector, {0: frame}, (Pose(turns),)).detect_all(0)
                for turns in (1, 2, 3)
            ]
            scores.append(max(float(faces.scores.max(initial=0)) for faces in looks))
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Print both tables; the exit code is 1 if a face leaks."""
    parser = argparse.ArgumentParser(description="Measure turned and anamorphic clips.")
    parser.add_argument("videos", nargs="*", type=Path, help="further ordinary videos")
    videos = parser.parse_args(argv).videos
    parts = load_parts(Settings())
    failed = False
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as name:
        folder = Path(name)
        for shape in SHAPES:
            found = leaks(folder, shape, parts)
            label = f"turned by {90 * shape.turns}°" if shape.turns else f"pixels {shape.aspect}"
            print(f"{label:14} {found.leaks:3} of {found.targets} readable", flush=True)
            failed |= found.leaks > 0
        scenes = [write_clip(SCENES[one](), folder / f"{one}.mp4").path for one in ORDINARY]
        for video in (*scenes, fetch("carphone.mp4"), *videos):
            hidden = folder / "hidden.mp4"
            solid = Settings(effect="solid", shape="rectangle", sampling="every")
            FaceBlur(solid, parts=parts).blur(str(video), hidden, overwrite=True)
            shown, left = turned_scores(video, parts), turned_scores(hidden, parts)
            print(
                f"{video.stem:10} {_costs(video, parts)} ms per frame, without faces"
                f" {_costs(hidden, parts)}; highest score of {len(left)} turned looks"
                f" {np.max(shown):.2f}, without faces {np.max(left):.2f}",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
