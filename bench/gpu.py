"""Compare CPU and GPU at the same work, on this machine.

    python -m bench.gpu [--runs N]

The exit code is 2 without a GPU. Without NVENC, its row has the reason. Milliseconds are medians of
runs. In the second table each command is a separate process, so loading is included.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from app.devices import find_gpus, nvenc_fault
from app.errors import FaceBlurError
from app.faces import load_detector, load_recogniser
from app.networks import Device, Runtime
from app.packs.catalogue import load_pack
from bench.cost import measure
from bench.long_video import make

SIZES = ((640, 384), (1280, 704), (1920, 1088))
CHIPS = 16
FRAMES = 100
WAYS = {
    "CPU": ("cpu", "software"),
    "models on the GPU": ("cuda", "software"),
    "models and encoder on the GPU": ("cuda", "nvenc"),
}


def milliseconds(work: Callable[[], object], runs: int) -> float:
    """Return the median of several runs, after a warm-up run."""
    work()
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


def models(device: Device, runs: int) -> list[float]:
    """Return milliseconds of a detector call for each size, and of a batch of chips."""
    pack, random = load_pack("open"), np.random.default_rng(1)
    detector = load_detector(pack, precision="float", runtime=Runtime(device=device))
    recogniser = load_recogniser(pack, runtime=Runtime(device=device))
    times = []
    for width, height in SIZES:
        picture = random.integers(0, 256, (height, width, 3), np.uint8)
        times.append(milliseconds(partial(detector.detect, [picture]), runs))
    side = recogniser.chip_size
    chips = list(random.integers(0, 256, (CHIPS, side, side, 3), np.uint8))
    return [*times, milliseconds(lambda: recogniser.embed(chips), runs)]


def video_times(runs: int, fault: str) -> dict[str, str]:
    """Return wall-clock milliseconds per frame of 1920 x 1080, with everyone hidden, by device.

    ``fault`` is why there is no NVENC; it stands for the time then.
    """
    times = {}
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as temporary:
        folder = Path(temporary)
        clip = make(FRAMES, folder / "clip.mp4").path
        for name, (device, encoder) in WAYS.items():
            if fault and encoder == "nvenc":
                times[name] = f"not measured: {fault}"
                continue
            command = [sys.executable, "-m", "app.cli", "blur", str(clip), "--quiet", "--overwrite"]
            command += ["-o", str(folder / "out.mp4"), "--device", device, "--encoder", encoder]
            costs = [measure(command).clock for _ in range(runs)]
            times[name] = f"{1000 * statistics.median(costs) / FRAMES:.1f}"
    return times


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description="Compare CPU and GPU.")
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args(argv).runs
    try:
        gpu = models("cuda", runs)
    except FaceBlurError as error:
        print(f"gpu: error: {error}", file=sys.stderr)
        return 2
    for one in find_gpus():
        print(f"{one.name}, driver {one.driver}, {one.memory >> 30} GiB\n")
    fault = nvenc_fault()
    names = [*(f"detection at {w} x {h}" for w, h in SIZES), f"{CHIPS} chips"]
    print("| | CPU ms | GPU ms | speed-up |\n|---|---|---|---|")
    for name, slow, fast in zip(names, models("cpu", runs), gpu, strict=True):
        print(f"| {name} | {slow:.1f} | {fast:.1f} | {slow / fast:.1f} |")
    print("\n| video of 1920 x 1080 | ms/frame |\n|---|---|")
    for name, duration in video_times(min(runs, 3), fault).items():
        print(f"| {name} | {duration} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
