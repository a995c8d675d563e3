"""Give damaged files to the program, and count what becomes of them; write docs/robustness.md.

    python -m bench.hostile [--count 3000] [--start 0] [--output docs/robustness.md]

The files are those of ``testmedia.mutants``: the numbers from ``--start`` on decide which damage is
done. The program is the job (``app.job``), which works on them one after the other as on a folder
of a customer.

A file has a good outcome if it is refused with a documented code and one line, or if its result is
a complete video or image in which the face of the seed cannot be read anywhere. The measure of
``app/verification/detail.py`` looks at the place of the face, and a search looks for its detail in
all other places, upright, turned and mirrored. Pictures that the damage has half destroyed are
counted apart: decoders of HEVC, JPEG and WebP do not notice such damage.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from app import errors
from app.errors import Crashed
from app.types import Image
from app.verification.detail import READABLE, readable
from app.video.kinds import PHOTO_SUFFIXES
from bench.report import machine
from testmedia.faces import Seed
from testmedia.mutants import MUTATIONS, corpus

ROOT = Path(__file__).resolve().parents[1]
COUNT = 3000
SLOW_SECONDS = 20.0
"""Work on one of these files takes 0.1 s; so long without progress is a hang, also on a busy
machine."""
MEMORY = 2**30
"""Bytes for the process that reads the files; whole files need a tenth of it."""
FOUND = 0.45
"""Correlation of the face's detail with another place of a frame, from which on it is found there.
Whole files have at least 0.91 before, and at most 0.32 after hiding."""
WHOLE = 0.5
"""Correlation from which on a face counts as left. With less, the damage has destroyed most of its
detail, so that the detector no longer takes it for a face."""
_FINE = 1.5
"""Deviation in pixels of the blur that is taken away to get detail: a thirtieth of the face."""
GOOD = ("hidden", "refused", "part left")
BAD = ("face left", "damaged result", "crashed", "internal error", "lost", "slow")
"""All outcomes. ``lost`` are files without a line in the report."""


class Hostile(Protocol):
    """A file for the program: ``seed`` has the face that it may show."""

    @property
    def name(self) -> str:
        """The name of the file."""

    @property
    def seed(self) -> Seed:
        """The seed."""

    @property
    def data(self) -> bytes:
        """The content of the file."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: one of ``GOOD`` or ``BAD``, the code of the program, and details."""

    file: Hostile
    result: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Run:
    """The outcomes of all files, the names of files that were left behind, and lines on stderr."""

    outcomes: tuple[Outcome, ...]
    litter: tuple[str, ...]
    noise: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether every outcome is good, and nothing was left behind or printed."""
        return (
            not self.litter and not self.noise and all(one.result in GOOD for one in self.outcomes)
        )


def documented_codes() -> frozenset[str]:
    """Return the codes of errors that a damaged file may cause."""
    media = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = (errors.MediaError, errors.OutputError)
    return frozenset(kind.code for kind in media if issubclass(kind, kinds)) - {Crashed.code}


def run(
    files: Sequence[Hostile], folder: Path, settings: Mapping[str, str] = MappingProxyType({})
) -> Run:
    """Let the job work on files in a new folder; ``settings`` are variables of its environment.

    Raises:
        RuntimeError: the job itself ended with an error.
    """
    inputs, output, spool = (folder / name for name in ("input", "output", "temporary"))
    for place in (inputs, output, spool):
        place.mkdir(parents=True)
    names = {f"{number:05}-{file.name}": file for number, file in enumerate(files)}
    for name, file in names.items():
        (inputs / name).write_bytes(file.data)
    noise = _work(inputs, output, spool, dict(settings))
    report = (output / "reports" / "local.jsonl").read_text("ascii").splitlines()
    lines = {line["file"]: line for line in map(json.loads, report)}
    outcomes = (_outcome(file, lines.get(name), output) for name, file in names.items())
    return Run(tuple(outcomes), tuple(litter(output, spool, lines.values())), noise)


def _work(inputs: Path, output: Path, spool: Path, settings: dict[str, str]) -> tuple[str, ...]:
    """Run the job, and return the lines that it prints on stderr, where nothing belongs."""
    limits = {
        "FACE_BLUR_STALL_SECONDS": f"{SLOW_SECONDS:g}",
        "FACE_BLUR_MAX_MEMORY": str(MEMORY),
        "TMPDIR": str(spool),
    }
    kept = {key: text for key, text in os.environ.items() if not key.startswith("FACE_BLUR_")}
    folders = ["--root", str(spool), "--input", str(inputs), "--output", str(output)]
    done = subprocess.run(
        [sys.executable, "-m", "app.job", *folders],
        cwd=ROOT,
        env=kept | limits | settings,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"the job ended with {done.returncode}: {done.stderr or done.stdout}")
    return tuple(done.stderr.splitlines())


def _outcome(file: Hostile, line: dict[str, Any] | None, output: Path) -> Outcome:
    if line is None:
        return Outcome(file, "lost", "", "it has no line in the report")
    code, message = line["code"], line["message"]
    if line.get("seconds", 0) > SLOW_SECONDS:
        return Outcome(file, "slow", code, f"{line['seconds']} s")
    if line["status"] == "done":
        return Outcome(file, *_judge(output / line["output"], line["frames"], file.seed))
    if code == Crashed.code:
        return Outcome(file, "crashed", code, message)
    is_refused = code in documented_codes() and message.isprintable()
    return Outcome(file, "refused" if is_refused else "internal error", code, message)


def _judge(path: Path, frames: int, seed: Seed) -> tuple[str, str, str]:
    """Return outcome, code and detail of a result with this number of frames."""
    try:
        streams = [list(stream) for stream in _streams(path)]
    except (OSError, ValueError) as error:  # errors of PyAV and of Pillow are of these kinds
        return "damaged result", "ok", f"it cannot be decoded: {error}"
    if not streams or len(streams[0]) != frames:
        return "damaged result", "ok", f"it has {[*map(len, streams)]} and not {frames} frames"
    most = max(left(picture, seed) for stream in streams for picture in stream)
    if most < READABLE:
        return "hidden", "ok", ""
    return "face left" if most >= WHOLE else "part left", "ok", f"correlation {most:.2f}"


def _streams(path: Path) -> Iterator[Iterator[Image]]:
    """Yield the frames of each video stream, cover art included, or the frames of an image."""
    if path.suffix in PHOTO_SUFFIXES:
        with PillowImage.open(path) as image:
            yield iter([np.asarray(image.convert("RGB"), np.uint8)])
        return
    with av.open(str(path), metadata_errors="replace") as container:
        count = len(container.streams.video)
    for index in range(count):
        with av.open(str(path), metadata_errors="replace") as container:
            yield (
                np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                for frame in container.decode(video=index)
            )


def left(picture: Image, seed: Seed) -> float:
    """Return how well a picture shows the face of a seed, at its place or elsewhere (0..1)."""
    here = 0.0
    if picture.shape == seed.picture.shape:
        here = readable(seed.picture, picture, seed.face)
    x1, y1, x2, y2 = (max(0, round(value)) for value in seed.face)
    face = seed.picture[y1:y2, x1:x2]
    views = (view for turns in range(4) for view in _mirrored(np.rot90(face, turns)))
    return max(here, *(_found(np.ascontiguousarray(view), picture) for view in views))


def _mirrored(view: Image) -> tuple[Image, Image]:
    return view, view[:, ::-1]


def _found(face: Image, picture: Image) -> float:
    """Return how well the most similar place of a picture shows a face; 0 if it is not similar."""
    (high, wide), whole = face.shape[:2], picture.shape[:2]
    if high > whole[0] or wide > whole[1]:
        return 0.0
    alike = cv2.matchTemplate(_fine(picture), _fine(face), cv2.TM_CCOEFF_NORMED)
    _, best, _, (x, y) = cv2.minMaxLoc(alike)
    if best < FOUND:
        return 0.0
    return readable(face, picture[y : y + high, x : x + wide], (0, 0, wide, high))


def _fine(picture: Image) -> NDArray[np.float32]:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), _FINE), np.float32)


def litter(output: Path, spool: Path, lines: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the files that are neither a result nor a plan of a file that is done."""
    done = [line for line in lines if line["status"] == "done"]
    expected = {output / line[key] for line in done for key in ("output", "plan")}
    for path in (*output.rglob("*"), *spool.rglob("*")):
        if path.is_file() and path not in expected and path.parent != output / "reports":
            yield path.name


def _table(outcomes: Sequence[Outcome], key: Callable[[Outcome], str], title: str) -> str:
    """Return the number of each outcome by a key, in the order in which keys occur."""
    shown = [*GOOD, *BAD]
    rows = [f"| {title} | files | {' | '.join(shown)} |", "|---" * (len(shown) + 2) + "|"]
    for name in [*dict.fromkeys(map(key, outcomes)), "all"]:
        own = [one for one in outcomes if name in {"all", key(one)}]
        counts = Counter(one.result for one in own)
        cells = [str(counts[result] or "") for result in shown]
        rows.append(f"| {name} | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _codes(outcomes: Sequence[Outcome]) -> str:
    refused = Counter(one.code for one in outcomes if one.result == "refused")
    return ", ".join(f"`{code}` {count}" for code, count in refused.most_common())


def page(done: Run, start: int) -> str:
    """Return the page as Markdown."""
    outcomes = done.outcomes
    count = len(outcomes)
    bad = [one for one in outcomes if one.result not in GOOD]
    listed = [f"- {one.file.name}: {one.result}, {one.code}, {one.detail}" for one in bad]
    parts = [
        "# Robustness",
        f"Written by `python -m bench.hostile --count {count} --start {start}`; do not edit.",
        machine(),
        TEXT.format(mutations=len(MUTATIONS)),
        "## By file",
        _table(outcomes, lambda one: one.file.seed.name, "seed"),
        "## By damage",
        _table(outcomes, lambda one: getattr(one.file, "mutation", ""), "mutation"),
        f"The codes of refused files: {_codes(outcomes)}.",
        f"Files left behind: {len(done.litter)}. Lines on stderr: {len(done.noise)}.",
    ]
    if bad:
        parts += ["## Bad outcomes", "\n".join(listed)]
    return "\n\n".join(parts) + "\n"


TEXT = """\
Small videos and images with one face (`testmedia/faces.py`) are damaged in {mutations} ways
(`testmedia/mutants.py`), and given to the Processing job.

- *hidden*: the result is complete, and the face cannot be read in any frame. The damage was
  harmless, or has destroyed the face.
- *refused*: there is no result, and the report has a line with a documented code.
- *part left*: the damage has destroyed more than half of the detail of the face, so that it is not
  detected, and the rest is still to be seen. Decoders of HEVC, JPEG and WebP do not notice such
  damage.

Every other outcome is a fault of Face blur: a face that is left, a result that cannot be decoded or
lacks frames, a crash of the process that reads the files, an undocumented error, a file that is
lost, or work that takes longer than 20 s."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the corpus and write the page; return 1 if an outcome is bad."""
    parser = argparse.ArgumentParser(description="Give damaged files to the program.")
    parser.add_argument("--count", type=int, default=COUNT, help="number of files (%(default)s)")
    parser.add_argument("--start", type=int, default=0, help="first number of the damage")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "robustness.md")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="face-blur-hostile-") as name:
        done = run(list(corpus(arguments.count, arguments.start)), Path(name, "job"))
    arguments.output.write_text(page(done, arguments.start), encoding="utf-8")
    for one in done.outcomes:
        if one.result not in GOOD:
            print(f"{one.file.name}: {one.result}, {one.code}, {one.detail}")
    print(*done.litter, *done.noise, sep="\n")
    print(arguments.output)
    return int(not done.is_good)


if __name__ == "__main__":
    sys.exit(main())
