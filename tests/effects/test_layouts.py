"""An effect keeps layouts of masks; whatever it has hidden before, the result is the same."""

import numpy as np
import pytest

from app.effects import EFFECTS, SHAPES, make_effect
from app.pipeline.rendering import Hiding
from app.types import Boxes, Effect, Plane

SIZE = (96, 72)


def _planes(seed: int) -> list[Plane]:
    random = np.random.default_rng(seed)

    def plane(shift: tuple[int, int]) -> Plane:
        shape = SIZE[1] >> shift[1], SIZE[0] >> shift[0]
        return Plane(random.integers(0, 256, shape).astype(np.uint8), *shift, (16,))

    return [plane(shift) for shift in ((0, 0), (1, 1), (1, 1), (2, 0))]


def _effect(name: str, shape: str) -> Effect:
    return make_effect(name, shape=shape, margin=0.2, feather=0.1, cells=4)


def _random_boxes(count: int, *, whole: bool) -> Boxes:
    """Boxes of a few sizes anywhere, also beyond the borders; twice, so that all are met again."""
    random = np.random.default_rng(3)
    corners = random.uniform(-20, 90, (count, 2))
    boxes = np.concatenate([corners, corners + random.integers(1, 40, (count, 2))], axis=1)
    once = np.asarray(np.rint(boxes) if whole else boxes, np.float32)
    return np.concatenate([once, once + np.array([32, -8, 32, -8], np.float32), once])


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("whole", [True, False])
def test_a_used_effect_draws_what_a_new_one_draws(name: str, shape: str, whole: bool) -> None:
    used = _effect(name, shape)
    for number, box in enumerate(_random_boxes(120, whole=whole)):
        planes, others = _planes(number), _planes(number)
        used.hide(planes, box[None])
        _effect(name, shape).hide(others, box[None])
        for plane, other in zip(planes, others, strict=True):
            assert np.array_equal(plane.pixels, other.pixels), box


def test_a_rendering_hides_whole_pixels() -> None:
    """Every pixel that a box touches is in the box that the effect is given."""

    class Recorder:
        def __init__(self) -> None:
            self.boxes: list[list[float]] = []

        def hide(self, planes: object, boxes: Boxes) -> None:
            self.boxes += boxes.tolist() if planes else []

    recorder = Recorder()
    boxes = np.array([[1.2, 2.0, 9.01, 11.99], [-3.5, 4, 5, 6]], np.float32)
    Hiding(recorder, _effect("solid", "rectangle")).hide(_planes(0), boxes)
    assert recorder.boxes == [[1, 2, 10, 12], [-4, 4, 5, 6]]
