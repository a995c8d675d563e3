"""Measure the cost of Face blur: CPU, time and memory, against a plain transcode and another tool.

    python -m bench.speed [--quick] [--runs N] [--json FILE] [sizes|rival|length|faces|half]...

Measurements are those of ``bench/cost.py``: separate processes, medians of alternating runs; long
ones run once. Compare ratios within one table only: machines differ, and have other load.

sizes   the whole command and each pass against a plain transcode, at 360, 1080 and 2160 lines, with
        two faces, and with eight at 1080; and a transcode with the encoder's own defaults
rival   hiding everyone, against ``deface`` with its defaults, and what both leave readable
length  memory and CPU of one video, played once, ten times and sixty times
faces   CPU of a 1080-line video by its number of faces
half    hiding one person who is visible half of the time, with and without copying untouched parts
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from app.packs.download import cache_folder
from app.types import Image
from app.verification.detail import READABLE, readable
from bench.cost import Cost, commands, measure, median
from bench.long_video import long_scene, make
from testmedia.clip import Clip, write_clip
from testmedia.fetch import fetch
from testmedia.scene import Shot

LOCK = Path(__file__).resolve().parent / "requirements-deface.txt"
SIZES = {360: 240, 1080: 100, 2160: 16}
"""Lines of a frame, and the number of measured frames. Short videos overstate the start-up cost,
but time is limited."""
RIVAL_FRAMES = 24
MINUTE, QUICK_MINUTE = 30, 20
"""Frames of a minute: few, because there are sixty minutes."""
MINUTES = (1, 10, 60)
HALF_SHOT = 60
"""Frames of a shot in the video with a person in every other shot."""
PHOTOS = ("obama2.jpg", "obama3.jpg")
"""Photos of that person; the video shows another one."""
FACES = (0, 8)


@dataclass(frozen=True, slots=True)
class Line:
    """One measured command: medians over the runs, and the CPU ratio to the base command."""

    table: str
    clip: str
    command: str
    frames: int
    cost: Cost
    ratio: float
    note: str = ""


def alternate(to_run: Mapping[str, Sequence[str]], runs: int) -> dict[str, Cost]:
    """Return medians for each command; the commands take turns."""
    costs: dict[str, list[Cost]] = {name: [] for name in to_run}
    for _ in range(runs):
        for name, command in to_run.items():
            costs[name].append(measure(command))
    return {name: median(found) for name, found in costs.items()}


def over_transcode(table: str, name: str, clip: Path, frames: int, runs: int) -> list[Line]:
    """Measure the whole command against a plain transcode; with two faces, also each pass once."""
    costs = alternate(commands(clip, clip.parent, [], stages=False), runs)
    base = costs["transcode"].cpu
    if table == "sizes" and "two" in name:
        every = commands(clip, clip.parent, [], stages=True)
        every["x264 defaults"] = [*every["transcode"], "--defaults"]
        costs |= alternate({k: v for k, v in every.items() if k not in costs}, 1)
    return [
        Line(table, name, command, frames, cost, cost.cpu / base) for command, cost in costs.items()
    ]


def sizes(folder: Path, runs: int, *, quick: bool) -> list[Line]:
    """Measure several frame sizes, with few and with many faces."""
    lines: list[Line] = []
    for height, frames in SIZES.items():
        for crowd in (False, True):
            if (crowd and (quick or height != 1080)) or (quick and height > 1080):
                continue
            shown = frames // (2 if crowd else 1) // (8 if quick else 1)
            path = folder / f"{height}{'-crowd' if crowd else ''}.mp4"
            make(shown, path, size=(height * 16 // 9, height), crowd=crowd)
            name = f"{height} lines, {'eight' if crowd else 'two'} faces, {shown} frames"
            once = crowd or height > 1080
            lines += over_transcode("sizes", name, path, shown, 1 if once else runs)
    return lines


def deface() -> Path:
    """Install deface from its lock file into the cache, unless it is there; return the command.

    Raises:
        subprocess.CalledProcessError: the installation failed.
    """
    version = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"deface-{sys.version_info.major}{sys.version_info.minor}-{version}"
    command = folder / "bin" / "deface"
    done = folder / "ready"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        install += ["--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)]
        subprocess.run(install, check=True)
        done.touch()
    return command


def deface_command(source: Path, output: Path) -> list[str]:
    """Return the command that hides every face with the tool's defaults, keeping the sound."""
    return [str(deface()), str(source), "--output", str(output), "--keep-audio"]


def rival(folder: Path, _: int, *, quick: bool) -> list[Line]:
    """Compare with ``deface``: cost, and readable face-frames."""
    lines: list[Line] = []
    for height in (360,) if quick else (360, 1080):
        shown = RIVAL_FRAMES // 2 if quick else RIVAL_FRAMES
        clip = make(shown, folder / f"rival{height}.mp4", size=(height * 16 // 9, height))
        ours, theirs = folder / "ours.mp4", folder / "theirs.mp4"
        tool = [sys.executable, "-m", "app.cli", "blur", str(clip.path), "-o", str(ours)]
        to_run = {
            "face-blur": [*tool, "--quiet", "--overwrite", "--blur", "everyone"],
            "deface": deface_command(clip.path, theirs),
        }
        costs = alternate(to_run, 1)
        for name, made in (("face-blur", ours), ("deface", theirs)):
            left = leaks(clip, made)
            lines.append(
                Line(
                    "rival",
                    f"{height} lines, two faces",
                    name,
                    shown,
                    costs[name],
                    costs[name].cpu / costs["face-blur"].cpu,
                    f"{left} of {len(clip.truth.faces)} face-frames readable",
                )
            )
    return lines


def leaks(clip: Clip, result_path: Path) -> int:
    """Count readable face-frames; a result of another size is scaled to that of the original."""
    count = 0
    with av.open(str(clip.path)) as one, av.open(str(result_path)) as other:
        frames = zip(one.decode(video=0), other.decode(video=0), strict=True)
        for number, (before, after) in enumerate(frames):
            picture = _rgb(before)
            result = cv2.resize(_rgb(after), clip.truth.size, interpolation=cv2.INTER_AREA)
            seen = clip.truth.at(number)
            count += sum(readable(picture, np.asarray(result), f.box) > READABLE for f in seen)
    return count


def _rgb(frame: av.VideoFrame) -> Image:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def length(folder: Path, runs: int, *, quick: bool) -> list[Line]:
    """Measure the memory for one minute of video and for many; frames are small."""
    frames = QUICK_MINUTE if quick else MINUTE
    scene = long_scene(frames, fetch("carphone.mp4"), (160, 90))
    minute = write_clip(replace(scene, rate=Fraction(frames, 60)), folder / "minute.mp4").path
    lines: list[Line] = []
    for minutes in MINUTES[:2] if quick else MINUTES:
        path = looped(minute, minutes, folder / f"{minutes}.mp4")
        tool = [sys.executable, "-m", "app.cli", "blur", str(path), "-o", str(folder / "long.mp4")]
        cost = alternate({"blur": [*tool, "--quiet", "--overwrite"]}, min(runs, 1))["blur"]
        first = lines[0].cost.cpu if lines else cost.cpu
        name = f"{minutes} minutes" if minutes > 1 else "1 minute"
        lines.append(Line("length", name, "blur", frames * minutes, cost, cost.cpu / first))
    return lines


def looped(clip: Path, times: int, output: Path) -> Path:
    """Write a video several times in a row: its packets again, with later timestamps."""
    with av.open(str(output), "w") as sink:
        coded, start = None, 0
        for _ in range(times):
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                coded = coded or sink.add_stream_from_template(video)
                packets = [packet for packet in source.demux(video) if packet.size]
                step = max(int(packet.duration or 0) for packet in packets)
                for packet in packets:
                    packet.stream = coded
                    packet.pts, packet.dts = _later(packet.pts, start), _later(packet.dts, start)
                    sink.mux(packet)
                start += step * len(packets)
    return output


def _later(time: int | None, by: int) -> int:
    return (time or 0) + by


def _first(shot: Shot, number: int) -> Shot:
    """Return the shot with its first few people only."""
    return replace(shot, actors=shot.actors[:number])


def faces(folder: Path, _: int, *, quick: bool) -> list[Line]:
    """Measure by the number of faces."""
    lines: list[Line] = []
    frames = 12 if quick else 24
    scene = long_scene(frames, fetch("carphone.mp4"), crowd=True)
    for number in FACES[-1:] if quick else FACES:
        path = folder / f"faces{number}.mp4"
        shots = tuple(_first(shot, number) for shot in scene.shots)
        write_clip(replace(scene, shots=shots), path)
        name = f"{number} portraits and the man in the background"
        lines += over_transcode("faces", name, path, frames, 1)
    return lines


def half(folder: Path, runs: int, *, quick: bool) -> list[Line]:
    """Measure four shots with a person in two of them: all encoded, and untouched parts copied."""
    clip, people, height = folder / "half.mp4", folder / "people", 360 if quick else 1080
    size, shot = (height * 16 // 9, height), HALF_SHOT // 4 if quick else HALF_SHOT
    scene = long_scene(4 * shot, fetch("carphone.mp4"), size, half=True, shot=shot)
    write_clip(scene, clip)
    (people / "obama").mkdir(parents=True)
    for photo in PHOTOS:
        shutil.copy(fetch(photo), people / "obama" / photo)
    copied, encoded = (
        commands(clip, folder, ["--people", str(people), "--copy-untouched", how], stages=False)
        for how in ("auto", "never")
    )
    to_run = {"transcode": copied["transcode"], "blur, untouched groups copied": copied["blur"]}
    costs = alternate(to_run, runs) | alternate({"blur, all encoded": encoded["blur"]}, 1)
    base = costs["transcode"].cpu
    name = f"{height} lines, one person in half of it"
    return [
        Line("half", name, command, 4 * shot, cost, cost.cpu / base)
        for command, cost in costs.items()
    ]


TABLES: dict[str, Callable[..., list[Line]]] = {
    "sizes": sizes,
    "rival": rival,
    "length": length,
    "faces": faces,
    "half": half,
}


def table(lines: Sequence[Line]) -> str:
    """Return the lines of one table as Markdown."""
    out = [
        "| clip | command | CPU ms/frame | clock ms/frame | peak MiB | CPU ratio | |",
        "|---|---|---|---|---|---|---|",
    ]
    out += [
        f"| {line.clip} | {line.command} | {1000 * line.cost.cpu / line.frames:.1f}"
        f" | {1000 * line.cost.clock / line.frames:.1f} | {line.cost.memory:.0f}"
        f" | {line.ratio:.2f} | {line.note} |"
        for line in lines
    ]
    return "\n".join(out)


def run(names: Sequence[str], runs: int, *, quick: bool) -> list[Line]:
    """Measure the named tables; progress goes to stderr."""
    lines: list[Line] = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as folder:
            lines += TABLES[name](Path(folder), runs, quick=quick)
        print(f"{name}: measured", file=sys.stderr)
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description="Measure CPU, time and memory of Face blur.")
    parser.add_argument("tables", nargs="*", help=", ".join(TABLES))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter videos")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.tables) - set(TABLES):
        parser.error(f"unknown table {min(unknown)}; choose from {', '.join(TABLES)}")
    names = arguments.tables or tuple(TABLES)
    try:
        lines = run(names, arguments.runs, quick=arguments.quick)
    except RuntimeError as error:
        print(f"speed: error: {error}", file=sys.stderr)
        return 1
    for name in names:
        print(f"\n{name}\n\n{table([line for line in lines if line.table == name])}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(line) for line in lines]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
