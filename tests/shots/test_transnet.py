"""TransNetShots, over a network that returns the brightness of frames, and over the real one."""

import gc
import weakref
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from app.errors import ModelError
from app.networks import Runtime
from app.packs.convert.onnx_graph import GraphWriter, serialise
from app.shots import ContentShots
from app.shots.transnet import FUTURE_FRAMES, MAX_STEP, MAX_TRANSITION, WINDOW, TransNetShots
from app.types import Size
from app.video import open_source
from testmedia.clip import Clip
from testmedia.fetch import fetch
from testmedia.images import ImageFrame, detect, flash, noise_frames
from testmedia.transnet_weights import converted


@pytest.fixture(scope="module")
def network() -> Path:
    return converted()


@pytest.fixture(scope="module")
def echo() -> bytes:
    """A network that returns the brightness of a frame as the probability of a transition."""
    writer = GraphWriter()
    writer.node("Cast", ["frames"], "numbers", to=TensorProto.FLOAT)
    writer.node("ReduceMean", ["numbers"], "light", axes=[1, 2, 3], keepdims=0)
    writer.node(
        "Mul", ["light", writer.constant("scale", np.array(1 / 255, np.float32))], "probability"
    )
    axis = writer.constant("axis", np.array([1], np.int64))
    writer.node("Unsqueeze", ["probability", axis], "column")
    writer.node("Concat", ["column", "column"], "transitions", axis=1)
    shape: list[str | int] = ["n", 27, 48, 3]
    source = ("frames", int(TensorProto.UINT8), shape)
    return serialise(writer.model("echo", source, ("transitions", ["n", 2])))


def lights(values: Sequence[int], size: Size = (48, 27)) -> list[ImageFrame]:
    """Return grey frames of these values, 0..255."""
    return [
        ImageFrame(n, np.full((size[1], size[0], 3), value, np.uint8))
        for n, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("values", "cuts"),
    [
        ([0] * 100, []),
        ([0, 0, 255, 0, 0], [3]),
        ([255, 0, 0], [1]),
        ([0, 0, 255], []),
        ([255], []),
        ([0, 140, 250, 200, 0, 0], [3]),
        ([0, 200, 200, 200, 0, 0], [2]),
        ([0, 200, 0, 200, 0, 0], [2, 4]),
        ([0, 127, 128, 0, 0], [3]),
        ([0, 200, 0, 0, 130, 240], [2, 5]),
        ([0] * 49 + [250, 255, 250] + [0] * 60, [51]),
        ([0] * 120 + [200, 255], [121]),
    ],
)
def test_one_cut_after_the_most_probable_frame(
    echo: bytes, values: list[int], cuts: list[int]
) -> None:
    assert detect(TransNetShots(echo), lights(values)) == cuts


def test_long_transition_is_split(echo: bytes) -> None:
    found = detect(TransNetShots(echo), lights([0] * 10 + [200] * (3 * MAX_TRANSITION) + [0] * 90))
    assert found == [11, 11 + MAX_TRANSITION, 11 + 2 * MAX_TRANSITION]


def _expected(values: Sequence[int], threshold: float) -> list[int]:
    """Return the cuts, computed from all frames at once."""
    cuts: list[int] = []
    index = 0
    while index < len(values) - 1:
        run: list[int] = []
        while (
            index < len(values) - 1
            and np.float32(values[index]) * np.float32(1 / 255) >= threshold
            and len(run) < MAX_TRANSITION
        ):
            run.append(index)
            index += 1
        if run:
            cuts.append(1 + max(run, key=lambda i: values[i]))
        else:
            index += 1
    return cuts


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.sampled_from([0, 60, 120, 200, 220, 255]), min_size=1, max_size=150),
    step=st.sampled_from([1, 7, 24, 50]),
    threshold=st.sampled_from([0.2, 0.5, 0.8]),
)
def test_random_probabilities(echo: bytes, values: list[int], step: int, threshold: float) -> None:
    detector = TransNetShots(echo, threshold=threshold, step=step, runtime=Runtime(threads=1))
    assert detect(detector, lights(values)) == _expected(values, threshold)


@pytest.mark.parametrize("step", [1, 20, 50])
def test_latency_is_not_too_large(echo: bytes, step: int) -> None:
    """In the slowest case the most probable frame of the longest transition is its first."""
    detector = TransNetShots(echo, step=step)
    waited = []
    for start in range(100, 100 + step):
        values = [0] * start + [255] + [200] * (MAX_TRANSITION - 1) + [0] * 120
        told = ((frame.index, detector.push(frame)) for frame in lights(values))
        waited += [index - cut for index, cuts in told for cut in cuts]
        detector.flush()
    assert max(waited) == detector.latency


def test_first_and_last_windows_are_filled(echo: bytes) -> None:
    """Equal frames have no cut, wherever windows begin and end."""
    for count in (1, FUTURE_FRAMES, FUTURE_FRAMES + 1, MAX_STEP + FUTURE_FRAMES, WINDOW):
        assert detect(TransNetShots(echo, threshold=0.9), lights([200] * count)) == []


def test_change_of_size_is_a_cut(echo: bytes) -> None:
    small, large = lights([0] * 60), lights([0] * 70, (96, 54))
    assert detect(TransNetShots(echo), [*small, *large[60:]]) == [60]


def test_first_index_may_be_other_than_0(echo: bytes) -> None:
    detector = TransNetShots(echo)
    frames = lights([0] * 150 + [255] + [0] * 9)[100:]
    assert [cut for frame in frames for cut in detector.push(frame)] == []
    assert detector.flush() == [151]


def test_frames_are_not_kept_in_memory(echo: bytes) -> None:
    detector = TransNetShots(echo)
    frames = lights([0] * 60, (640, 360))
    kept = [weakref.ref(frame) for frame in frames]
    for frame in frames:
        detector.push(frame)
    del frame, frames
    gc.collect()
    assert [reference for reference in kept if reference() is not None] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"threshold": float("nan")},
        {"step": 0},
        {"step": 51},
    ],
)
def test_arguments_out_of_range(echo: bytes, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        TransNetShots(echo, **wrong)  # type: ignore[arg-type]


def test_file_that_is_not_a_network() -> None:
    with pytest.raises(ModelError, match="cannot load"):
        TransNetShots(b"none")


def test_runtime_failure() -> None:
    writer = GraphWriter()
    writer.node("Cast", ["frames"], "transitions", to=TensorProto.FLOAT)
    other = writer.model("other", ("frames", TensorProto.UINT8, [1, 2]), ("transitions", [1, 2]))
    detector = TransNetShots(serialise(other))
    detector.push(lights([0])[0])
    detector.push(lights([0])[0])
    with pytest.raises(ModelError, match="TransNet V2 failed on"):
        detector.flush()


def _music(first: int, end: int) -> list[ImageFrame]:
    """Return frames of the music video, numbered from 0."""
    out = []
    for frame in open_source(fetch("music.mp4"), threads=2):
        if frame.index >= end:
            break
        if frame.index >= first:
            out.append(ImageFrame(frame.index - first, frame.rgb()))
    return out


def test_cuts_of_a_real_video(network: Path) -> None:
    """Cuts between two locations; confirmed by eye and by the content detector."""
    frames = _music(1335, 1435)
    found = detect(TransNetShots(network), frames)
    assert [1335 + cut for cut in found] == [1340, 1389, 1427]
    assert detect(ContentShots(), frames) == found


def test_smaller_step_finds_the_same_cuts(network: Path) -> None:
    frames = _music(1383, 1433)
    found = detect(TransNetShots(network, step=25), frames)
    assert [1383 + cut for cut in found] == [1389, 1427]


def test_dissolve_is_one_cut_in_its_middle(network: Path, clip: Callable[[str], Clip]) -> None:
    made = clip("dissolve")
    frames = [ImageFrame(frame.index, frame.rgb()) for frame in open_source(made.path, threads=2)]
    (cut,) = detect(TransNetShots(network), frames)
    assert made.truth.cuts == (40,)
    assert abs(cut - 47) <= 1  # it lasts 14 frames


def test_flash_is_not_a_cut(network: Path) -> None:
    still = noise_frames((4, 60))
    frames = [flash(frame) if frame.index in {20, 40, 41} else frame for frame in still]
    assert detect(TransNetShots(network), frames) == []
    assert detect(ContentShots(), frames) == [20, 21, 40, 42]


def test_cuts_of_the_concert_video(network: Path, shared: Path) -> None:
    path = shared / "data" / "hamilton" / "clip.mp4"
    if not path.exists():
        pytest.skip("needs the concert clip")
    detector = TransNetShots(network)
    frames = islice(open_source(path, threads=2), 100)  # of 275: enough for two of three cuts
    cuts = [cut for frame in frames for cut in detector.push(frame)]
    assert cuts + detector.flush() == [20, 82]
