"""Measure what is left of faces that are visible for a few frames, and what their search costs.

    python -m bench.glimpses [VIDEO...]

First, 25 faces of 90 pixels appear for one to three frames each. The result is compared with the
original; see ``app/verification/detail.py``. Then the cost is measured on ordinary material: how
many looks are taken because of glimpses, and the CPU time of the analysis with and without them.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from app.config import Settings
from app.pipeline import FaceBlur, Parts, face_looker, load_parts
from bench.scoring import score
from testmedia.clip import write_clip
from testmedia.fetch import fetch
from testmedia.glimpses import Wallpaper, glimpses
from testmedia.scene import Scene
from testmedia.scenes import SCENES

SCENES_OF_GLIMPSES: dict[str, Scene] = {
    **{f"25/s, for {n}": glimpses(n) for n in (1, 2, 3)},
    **{
        f"25/s, for {n}, detail moves by {speed}": glimpses(n, background=Wallpaper(speed))
        for speed in (0, 1, 4, 12)
        for n in (1, 2)
    },
    "25/s, for 1, 40 pixels": glimpses(1, width=40),
    "25/s, for 1 of 5": glimpses(1, every=5),
    **{f"{rate}/s, for {n}": glimpses(n, rate=rate) for rate in (8, 10, 14) for n in (1, 2)},
}
ORDINARY = ("calm", "crowd", "sport", "shake", "film")
RUNS = 3


def leaks(folder: Path, scene: Scene, parts: Parts) -> tuple[int, int]:
    """Return the number of readable face-frames in the result, and of all face-frames."""
    clip, output = write_clip(scene, folder / "clip.mp4"), folder / "output.mp4"
    FaceBlur(Settings(), parts=parts).blur(clip.path, output, overwrite=True)
    found = score(clip.path, output, clip.truth, clip.truth.people)
    return found.leaks, found.targets


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU milliseconds per frame of the analysis, and the share of frames with a glimpse."""

    with_glimpses: float
    without: float
    share: float


def cost(video: Path, parts: Parts) -> Cost:
    """Return the cost of glimpses in a video: the least of some alternating runs."""
    face_blur = FaceBlur(Settings(), parts=parts)
    glimpsed: set[int] = set()
    find = face_looker.FaceLooker.glimpses

    def recorded(looker: face_looker.FaceLooker, first: int, last: int) -> object:
        found = find(looker, first, last)
        glimpsed.update(found)
        return found

    times: dict[str, list[float]] = {"with": [], "without": []}
    frames = 1
    for _ in range(RUNS):
        for name, replacement in (("with", recorded), ("without", lambda *_: {})):
            with patch.object(face_looker.FaceLooker, "glimpses", replacement):
                begin = time.process_time()
                frames = face_blur.analyse(str(video)).source.frames
                times[name].append(1000 * (time.process_time() - begin) / frames)
    return Cost(min(times["with"]), min(times["without"]), len(glimpsed) / frames)


def main(argv: Sequence[str] | None = None) -> int:
    """Print both tables; the exit code is 1 if a face before a still background leaks."""
    parser = argparse.ArgumentParser(description="Measure faces that are visible for few frames.")
    parser.add_argument("videos", nargs="*", type=Path, help="videos whose cost is measured too")
    videos = parser.parse_args(argv).videos
    parts = load_parts(Settings())
    failed = False
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as name:
        folder = Path(name)
        for label, scene in SCENES_OF_GLIMPSES.items():
            left, shown = leaks(folder, scene, parts)
            print(f"{label:36} {left:3} of {shown} readable", flush=True)
            failed |= left > 0 and "moves" not in label
        scenes = [write_clip(SCENES[name](), folder / f"{name}.mp4").path for name in ORDINARY]
        for video in (*scenes, fetch("carphone.mp4"), fetch("music.mp4"), *videos):
            spent = cost(video, parts)
            print(
                f"{video.stem:12} {100 * spent.share:3.0f} % of frames with a glimpse,"
                f" {spent.with_glimpses:.2f} instead of {spent.without:.2f} ms per frame",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
