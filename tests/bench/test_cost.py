"""Measuring cost: CPU, memory, failures, and the videos for it."""

import sys
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from bench import cost, long_video, transcode
from testmedia.clip import Clip
from testmedia.fetch import fetch


def test_cpu_and_memory_are_measured_per_process() -> None:
    idle = cost.measure([sys.executable, "-c", "import time; time.sleep(0.3)"])
    busy = cost.measure(
        [sys.executable, "-c", "import time\nb=b'x'*2**27\nwhile time.process_time()<0.4: pass"]
    )
    assert idle.clock > 0.3
    assert idle.cpu < 0.25
    assert busy.cpu > 0.38
    assert 100 < busy.memory - idle.memory < 160


def test_a_command_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"exit 3: so it is"):
        cost.measure(
            [sys.executable, "-c", "import sys; print('so it is', file=sys.stderr); sys.exit(3)"]
        )


def test_a_long_error_output_does_not_block() -> None:
    program = "import sys; sys.stderr.write('x' * 2**20)"
    assert cost.measure([sys.executable, "-c", program]).cpu > 0


def test_the_table_has_medians_and_ratios() -> None:
    runs = {
        "transcode": [cost.Cost(cpu, 1, 100) for cpu in (2, 1, 9)],
        "blur": [cost.Cost(cpu, 2, 300) for cpu in (3, 8, 1)],
    }
    lines = cost.report(runs, 100).splitlines()
    assert lines[1].split() == ["transcode", "2.00", "20.0", "1.00", "100", "1.00"]
    assert lines[2].split() == ["blur", "3.00", "30.0", "2.00", "300", "1.50"]
    assert lines[3] == "CPU s of all runs: transcode 1.00..9.00, blur 1.00..8.00"


def test_the_plain_transcode_keeps_frames_and_sound(
    clip: Callable[[str], Clip], tmp_path: Path
) -> None:
    source, output = clip("appears").path, tmp_path / "out.mp4"
    frames = transcode.transcode(source, output, {"quality": "60"})
    assert frames == 50
    with av.open(str(source)) as one, av.open(str(output)) as two:
        assert two.streams.video[0].frames == 50
        packets = [[bytes(p) for p in c.demux(audio=0) if p.size] for c in (one, two)]
    assert packets[0] == packets[1]


def test_a_long_scene_has_shots_of_the_requested_length() -> None:
    scene = long_video.long_scene(450, fetch("carphone.mp4"))
    assert scene.size == (1920, 1080)
    assert [shot.frames for shot in scene.shots] == [200, 200, 50]
    backdrop = scene.shots[0].background
    images = [backdrop.picture((64, 36), frame) for frame in (0, 1, 239, 478 // 2)]
    assert images[0].shape == (36, 64, 3)
    assert not (images[0] == images[1]).all()
    assert (backdrop.picture((64, 36), 238) == images[0]).all(), "forwards and backwards"
