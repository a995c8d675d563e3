"""Measure how long one correction of a one-minute video takes, against rendering all of it.

    python -m bench.corrections [--lines 360 1080] [--seconds 3] [--threads N]

It takes three minutes on two cores, half a minute with 360 lines only.

The video is one clip played six times. One person is hidden all the time, so that every frame is
encoded first; then a second one is hidden for some seconds, and shown again. Times are wall-clock
seconds, with everything that a new session does: hashing both files, and checking the result.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np

from app.config import Settings
from app.pipeline import FaceBlur, LastResult, Rendered
from app.plan import Decision, ModelRecord, ModelsRecord, Plan, PlanTrack, SourceRecord
from app.video import Media, open_source
from app.video.clocks import move
from app.video.container import with_data
from bench.long_video import make

CLIP_FRAMES, REPEATS = 300, 6
"""Ten seconds, six times: making a minute of different frames takes minutes."""
LINES = (360, 1080)


def repeated(clip: Path, output: Path, times: int) -> Path:
    """Write the video of a clip several times in a row, without encoding it again."""
    with av.open(str(clip)) as reading, av.open(str(output), "w") as writing:
        video = reading.streams.video[0]
        packets = [packet for packet in reading.demux(video) if packet.size]
        target = writing.add_stream_from_template(video)
        for number in range(times):
            for packet in packets:
                copy = with_data(packet, bytes(packet))
                move(copy, number * (video.duration or 0) * packet.time_base)
                copy.stream = target
                writing.mux(copy)
    return output


def plan_of(media: Media, seconds: float) -> Plan:
    """Return a plan with a face in all frames, and one in some seconds of the middle."""
    info = open_source(media).info
    frames, (width, height) = info.frames or 0, info.size
    first = frames // 2
    end = min(frames, first + round(seconds * float(info.rate)))
    left = (width * 0.1, height * 0.2, width * 0.2, height * 0.45)
    right = (width * 0.6, height * 0.4, width * 0.7, height * 0.65)
    model = ModelRecord("none", "0" * 64)
    return Plan(
        source=SourceRecord(media.sha256, media.name, frames, width, height, float(info.duration)),
        settings={},
        models=ModelsRecord("none", model, None),
        people=(),
        shots=((0, frames),),
        tracks=(_track(0, 0, frames, left, "blur"), _track(1, first, end, right, "keep")),
    )


def _track(
    number: int, first: int, end: int, box: tuple[float, ...], decision: Decision
) -> PlanTrack:
    rows = np.array([(frame, *box) for frame in range(first, end)], np.float32)
    return PlanTrack(
        id=number,
        shot=0,
        first=first,
        last=end - 1,
        person=None,
        similarity=None,
        decision=decision,
        uncertain=False,
        reason="measured",
        boxes=rows,
    )


def with_decision(plan: Plan, decision: Decision) -> Plan:
    """Return the plan with another decision about the second face."""
    steady, corrected = plan.tracks
    return replace(plan, tracks=(steady, replace(corrected, decision=decision)))


@dataclass(frozen=True, slots=True)
class Run:
    """One rendering: wall-clock and CPU seconds, and the way."""

    clock: float
    cpu: float
    done: Rendered

    def row(self, name: str) -> str:
        """Return a line of the table."""
        times = f"{self.clock:6.1f} s {self.cpu:6.1f} s CPU"
        return f"  {name:24} {times} {self.done.encoded:6} encoded, from {self.done.copied_from}"


class Session:
    """Renders one video again and again to one file, and measures it."""

    def __init__(self, source: Path, output: Path, threads: int | None) -> None:
        self._source, self._output = source, output
        self._face_blur = FaceBlur(Settings(threads=threads))

    def render(self, plan: Plan, last: LastResult | None) -> Run:
        """Render with the last result, or everything."""
        clock, cpu = time.perf_counter(), time.process_time()
        done = self._face_blur.render(
            Media(self._source), plan, self._output, overwrite=True, last=last, correctable=True
        )
        assert done is not None
        return Run(time.perf_counter() - clock, time.process_time() - cpu, done)


def measure(lines: int, seconds: float, threads: int | None, folder: Path) -> str:
    """Measure a video of some lines; return the text to print."""
    size = (lines * 16 // 9 // 2 * 2, lines)
    clip = make(CLIP_FRAMES, folder / f"clip{lines}.mp4", size=size).path
    source = repeated(clip, folder / f"minute{lines}.mp4", REPEATS)
    session = Session(source, folder / f"result{lines}.mp4", threads)
    plan = plan_of(Media(source), seconds)
    run = session.render(plan, None)
    rows = [f"{lines} lines, {plan.source.frames} frames, {_megabytes(run.done.output):.0f} MB"]
    rows.append(run.row("all frames"))
    corrections: tuple[tuple[str, Decision], ...] = (
        (f"hide a face for {seconds:g} s", "blur"),
        ("show it again", "keep"),
        ("change nothing", "keep"),
    )
    for name, decision in corrections:
        plan = with_decision(plan, decision)
        run = session.render(plan, run.done.last_result())
        rows.append(run.row(name))
    return "\n".join(rows)


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def main() -> int:
    """Measure, and print the times."""
    parser = argparse.ArgumentParser(description="Measure the time of one correction.")
    parser.add_argument("--lines", type=int, nargs="+", default=LINES)
    parser.add_argument("--seconds", type=float, default=3, help="length of the corrected track")
    parser.add_argument("--threads", type=int, help="default: the CPUs that may be used")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as name:
        for lines in arguments.lines:
            print(measure(lines, arguments.seconds, arguments.threads, Path(name)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
