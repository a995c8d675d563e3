"""A drawn box follows its content through the shot."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from app import Media
from app.errors import UsageError
from app.geometry import iou
from app.review.follow import followed
from app.video.random_access import FrameReader
from testmedia.clip import Clip

Clips = Callable[[str], Clip]


@pytest.mark.parametrize(
    ("scene", "share"),
    # A face that grows to the height of the picture is lost when it leaves it.
    [("calm", 0.9), ("dark", 0.9), ("sizes", 0.5)],
)
def test_the_box_stays_on_the_face(clip: Clips, scene: str, share: float) -> None:
    made = clip(scene)
    person = made.truth.faces[0].person
    boxes = {one.frame: one.box for one in made.truth.faces if one.person == person}
    begin = sorted(boxes)[len(boxes) // 2]
    shot = _gapless(boxes, begin)
    reader = FrameReader(Media(made.path), made.truth.frames)
    region = followed(reader, shot, begin, list(boxes[begin]))
    assert shot[0] <= region.first <= begin <= region.last < shot[1]
    rows = region.rows()
    truth = np.array([boxes[int(row[0])] for row in rows], np.float32)
    overlaps = [float(iou(a[None, 1:], b[None])[0, 0]) for a, b in zip(rows, truth, strict=True)]
    assert len(rows) >= share * (shot[1] - shot[0])
    assert min(overlaps) > 0.5
    assert len(region.keys) < len(rows)


def _gapless(boxes: Mapping[int, object], frame: int) -> tuple[int, int]:
    """Return the frames around ``frame`` that have a box, ``[first, end)``."""
    first = next(n for n in range(frame, -2, -1) if n not in boxes) + 1
    return first, next(n for n in range(frame, max(boxes) + 2) if n not in boxes)


def test_a_box_outside_of_the_shot_is_refused(clip: Clips) -> None:
    made = clip("calm")
    reader = FrameReader(Media(made.path), made.truth.frames)
    for frame, box in ((99, [0, 0, 9, 9]), (0, [9, 0, 9, 9]), (0, [0, 0, 9])):
        with pytest.raises(UsageError, match="follow needs"):
            followed(reader, (0, 20), frame, box)
