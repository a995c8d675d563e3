"""One box for every frame: interpolation, smoothing, padding."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.tracking.interpolation import interpolate, pad, smooth, sweep
from app.types import Boxes

Knots = tuple[NDArray[np.int64], Boxes]
coordinate = st.integers(-200, 4000)
extent = st.integers(4, 600)


@st.composite
def knots(draw: st.DrawFn, least: int = 1) -> Knots:
    """Increasing frames with their boxes."""
    gaps = draw(st.lists(st.integers(1, 14), min_size=least, max_size=8))
    rows = [draw(st.tuples(coordinate, coordinate, extent, extent)) for _ in gaps]
    boxes = np.asarray([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32)
    return np.cumsum(gaps), boxes


def centre_and_size(boxes: Boxes) -> NDArray[np.float64]:
    wide = boxes.astype(np.float64)
    return np.hstack([(wide[:, :2] + wide[:, 2:]) / 2, wide[:, 2:] - wide[:, :2]])


def holds(outer: Boxes, inner: Boxes, slack: float = 0.0) -> bool:
    return bool(
        (outer[:, :2] <= inner[:, :2] + slack).all()
        and (outer[:, 2:] >= inner[:, 2:] - slack).all()
    )


@given(knots())
def test_there_is_one_box_per_frame_through_all_observations(seen: Knots) -> None:
    frames, boxes = seen
    rows = interpolate(frames, boxes)
    assert rows.shape == (frames[-1] - frames[0] + 1, 4)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows[frames - frames[0]], boxes, atol=1e-2)


@given(knots(least=2))
def test_interpolation_does_not_overshoot(seen: Knots) -> None:
    frames, boxes = seen
    rows, ends = centre_and_size(interpolate(frames, boxes)), centre_and_size(boxes)
    for i in range(len(frames) - 1):
        inside = rows[frames[i] - frames[0] : frames[i + 1] - frames[0] + 1]
        low, high = np.minimum(ends[i], ends[i + 1]), np.maximum(ends[i], ends[i + 1])
        assert (inside >= low - 1e-2).all()
        assert (inside <= high + 1e-2).all()


@given(knots(least=2))
def test_boxes_between_two_observations_stay_in_their_hull(seen: Knots) -> None:
    frames, boxes = seen[0][:2], seen[1][:2]
    rows = interpolate(frames, boxes)
    hull = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])[None]
    assert holds(np.repeat(hull, len(rows), axis=0), rows, slack=1e-2)


@given(knots(least=2), st.integers(-1000, 1000))
def test_interpolation_does_not_depend_on_position(seen: Knots, shift: int) -> None:
    frames, boxes = seen
    moved = interpolate(frames, boxes + np.float32(shift)) - np.float32(shift)
    np.testing.assert_allclose(moved, interpolate(frames, boxes), atol=1e-2)


def test_constant_speed_is_kept() -> None:
    frames = np.asarray([0, 3, 10])
    boxes = np.asarray([[n, 2 * n, n + 8, 2 * n + 8] for n in frames], np.float32)
    truth = np.asarray([[n, 2 * n, n + 8, 2 * n + 8] for n in range(11)], np.float32)
    np.testing.assert_allclose(interpolate(frames, boxes), truth, atol=1e-4)


@given(knots(), st.floats(0.5, 8))
def test_smoothed_boxes_contain_the_observed_ones(seen: Knots, sigma: float) -> None:
    frames, boxes = seen
    steady = smooth(frames, boxes, sigma)
    assert steady.dtype == np.float32
    assert holds(steady, boxes)


@given(knots())
def test_smoothed_and_interpolated_boxes_contain_the_observed_ones(seen: Knots) -> None:
    frames, boxes = seen
    rows = interpolate(frames, smooth(frames, boxes))
    assert holds(rows[frames - frames[0]], boxes, slack=1e-2)


def test_a_face_at_rest_is_not_enlarged() -> None:
    boxes = np.repeat(np.asarray([[10, 20, 50, 70]], np.float32), 9, axis=0)
    np.testing.assert_allclose(smooth(np.arange(9), boxes), boxes, atol=1e-3)


def test_sweeping_a_face_at_rest_changes_nothing() -> None:
    boxes = np.repeat(np.asarray([[10, 20, 50, 70]], np.float32), 9, axis=0)
    np.testing.assert_array_equal(sweep(boxes), boxes)


def test_smoothing_reduces_jitter() -> None:
    jitter = np.random.default_rng(1).normal(0, 1.5, (60, 2)).astype(np.float32)
    boxes = np.hstack([jitter, jitter + 60]).astype(np.float32) + np.float32(100)
    steady = centre_and_size(smooth(np.arange(60), boxes))[:, :2]
    before = np.abs(np.diff(centre_and_size(boxes)[:, :2], axis=0)).mean()
    assert np.abs(np.diff(steady, axis=0)).mean() < 0.7 * before


def test_observations_far_apart_in_time_are_not_smoothed() -> None:
    boxes = np.asarray([[0, 0, 40, 40], [90, 0, 130, 40]], np.float32)
    np.testing.assert_allclose(smooth(np.asarray([0, 30]), boxes), boxes, atol=1e-3)


@given(knots())
def test_swept_boxes_cover_half_the_path_to_each_neighbour(seen: Knots) -> None:
    boxes = seen[1]
    swept = sweep(boxes)
    assert swept.dtype == np.float32
    assert holds(swept, boxes)
    halves = np.asarray((boxes[1:] + boxes[:-1]) / 2, np.float32)
    assert holds(swept[1:], halves, slack=1e-2)
    assert holds(swept[:-1], halves, slack=1e-2)


@given(knots(), st.integers(0, 12), st.integers(0, 20), st.integers(0, 20))
def test_padding_stays_in_its_limits_and_contains_the_outermost_boxes(
    seen: Knots, frames: int, before: int, after: int
) -> None:
    boxes = seen[1]
    first, end = 100, 100 + len(boxes)
    start, longer = pad(first, boxes, frames, (first - before, end + after))
    assert start == first - min(frames, before)
    assert start + len(longer) == end + min(frames, after)
    np.testing.assert_array_equal(longer[first - start : end - start], boxes)
    head, tail = longer[: first - start], longer[end - start :]
    assert holds(head, np.repeat(boxes[:1], len(head), axis=0))
    assert holds(tail, np.repeat(boxes[-1:], len(tail), axis=0))


@settings(deadline=None)
@given(st.integers(2, 8), st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 6))
def test_padding_covers_a_face_that_keeps_its_speed(
    count: int, across: int, down: int, frames: int
) -> None:
    assume(across or down)
    numbers = np.arange(-frames, count + frames, dtype=np.float32)[:, None]
    begin, speed = np.asarray([[100, 100, 160, 160], [across, down, across, down]])
    truth = np.asarray(begin + numbers * speed, np.float32)
    start, longer = pad(50, truth[frames:-frames], frames, (0, 200))
    assert start == 50 - frames
    assert holds(longer, truth, slack=1e-2)


@pytest.mark.parametrize("frames", [0, 5])
def test_a_track_as_long_as_its_shot_is_not_padded(frames: int) -> None:
    boxes = np.repeat(np.asarray([[0, 0, 9, 9]], np.float32), 4, axis=0)
    start, longer = pad(6, boxes, frames, (6, 10))
    assert (start, len(longer)) == (6, 4)


@given(knots(least=2))
def test_smoothing_is_the_gaussian_mean_of_all_observations(seen: Knots) -> None:
    """Leaving out distant observations, which have no weight, makes no difference."""
    frames, boxes = seen
    states = centre_and_size(boxes)
    states[:, 2:] = np.log(states[:, 2:])
    weights = np.exp(-0.5 * ((frames[:, None] - frames[None]) / 2.0) ** 2)
    mean = weights @ states / weights.sum(axis=1, keepdims=True)
    half = np.exp(mean[:, 2:]) / 2
    low, high = mean[:, :2] - half, mean[:, :2] + half
    steady = smooth(frames, boxes, 2.0)
    np.testing.assert_allclose(steady[:, :2], np.minimum(low, boxes[:, :2]), atol=1e-2)
    np.testing.assert_allclose(steady[:, 2:], np.maximum(high, boxes[:, 2:]), atol=1e-2)


def test_smoothing_a_track_of_hours_needs_little_memory() -> None:
    number = 50_000
    frames = np.arange(number) * 3
    boxes = np.repeat(np.asarray([[10, 10, 50, 60]], np.float32), number, axis=0)
    tracemalloc.start()
    steady = smooth(frames, boxes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_allclose(steady, boxes, atol=1e-3)
    assert peak < number * 500
