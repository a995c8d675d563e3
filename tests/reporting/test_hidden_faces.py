"""No image of a report shows a hidden face, whatever the effect, the edits and the result are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from app.config import Settings
from app.edits import Editor, Target
from app.errors import MediaError, PlanError
from app.pipeline import LastResult
from app.pipeline.rendering import render_plan
from app.reporting import make_report
from app.types import Image
from app.verification.detail import READABLE, readable
from app.video import Media
from testmedia.clip import Clip, write_clip
from testmedia.photos import OBAMA
from testmedia.scene import Actor, Scene, Shot, keys
from testmedia.truth import Seen
from testmedia.videos import copy_video
from tests.reporting.reports import (
    HIDDEN,
    SHOWN,
    Shown,
    cut,
    faces_of,
    images,
    opened,
    originals,
    plan_of,
    track_of,
    two_people,
)

CLEAR = 0.5
"""Correlation from which a face counts as shown clearly: well above that of any hidden one."""
Make = Callable[[str], Clip]


def likeness(shown: Shown, source: Image, face: Seen) -> float:
    """Return how much of a face an image of a report shows: a frame, or the face alone."""
    if shown.pixels.shape == source.shape:
        return readable(source, shown.pixels, face.box)
    part, box = cut(source, face, 1.8)
    height, width = part.shape[:2]
    scaled = cv2.resize(shown.pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return readable(part, scaled, (box[0], box[1], box[2], box[3]))  # type: ignore[arg-type]


def check(page: str, clip: Clip, hidden: set[str]) -> tuple[int, int]:
    """Check all images; return how many of a hidden, and how many of a visible face there are."""
    source, counts = originals(clip.path), [0, 0]
    for shown in images(page):
        whole = shown.pixels.shape == source[0].shape
        for face in clip.truth.at(shown.frame):
            name = HIDDEN if face.person == max(clip.truth.people) else SHOWN
            if not whole and not shown.alternative.startswith(name):
                continue
            found = likeness(shown, source[shown.frame], face)
            if face.person in hidden:
                assert found < READABLE, shown.alternative
            else:
                assert found > CLEAR, shown.alternative
            counts[face.person not in hidden] += 1
    return counts[0], counts[1]


@pytest.mark.parametrize("effect", ["blur", "pixelate", "solid"])
@pytest.mark.parametrize("shape", ["ellipse", "rectangle"])
def test_the_hidden_one_is_hidden_and_the_other_is_visible(
    effect: Any, shape: Any, clip: Make, tmp_path: Path
) -> None:
    calm = clip("calm")
    editor = opened(two_people(calm), tmp_path)
    made = make_report(editor, Media(calm.path), Settings(effect=effect, shape=shape))
    hidden, visible = check(made.html, calm, {max(calm.truth.people)})
    assert hidden >= 4 + 2
    assert visible >= 4 + 2


def test_a_face_that_moves_fast_is_hidden_where_it_is(tmp_path: Path) -> None:
    path = keys({0: (60, 180), 59: (580, 180)})
    scene = Scene((640, 360), shots=(Shot(60, actors=(Actor(OBAMA, path, 60),)),))
    clip = write_clip(scene, tmp_path / "moves.mp4")
    [person] = clip.truth.people
    track = track_of(faces_of(clip, person), 0, card=HIDDEN)
    made = make_report(opened(plan_of(clip, track), tmp_path), Media(clip.path), Settings())
    hidden, visible = check(made.html, clip, {person})
    assert (hidden >= 4 + 2, visible) == (True, 0)


def test_the_frame_before_has_a_black_box_over_the_hidden_face(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    person = max(calm.truth.people)
    made = make_report(opened(two_people(calm), tmp_path), Media(calm.path), Settings())
    before = [shown for shown in images(made.html) if " before" in shown.alternative]
    assert before
    for shown in before:
        for face in calm.truth.at(shown.frame):
            x1, y1, x2, y2 = map(round, face.box)
            # Without the outline, and the number in its corner.
            inside = shown.pixels[y1 + 25 : y2 - 5, x1 + 25 : x2 - 5]
            assert (inside.mean() < 5) == (face.person == person)
            outline = shown.pixels[y2 - 1 : y2 + 1, x1 + 5 : x2 - 5].reshape(-1, 3).mean(0)
            assert outline.argmax() == (0 if face.person == person else 1), "red or green"


def test_edits_decide_who_is_hidden(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    editor = opened(two_people(calm), tmp_path)
    editor.edit("decide", Target("card", SHOWN), "blur", "Ann")
    made = make_report(editor, Media(calm.path), Settings())
    hidden, visible = check(made.html, calm, set(calm.truth.people))
    assert (hidden > 8, visible) == (True, 0)


def rendered(editor: Editor, clip: Clip, output: Path) -> Path:
    plan = editor.review.to_plan()
    media = Media(clip.path)
    render_plan(media, plan, output, Settings(), lambda *_: None, overwrite=False)
    return output


def test_the_frames_after_are_those_of_the_result(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    editor = opened(two_people(calm), tmp_path)
    result = rendered(editor, calm, tmp_path / "result.mp4")
    # Something that only the result has, far away from both faces.
    marked = tmp_path / "marked.mp4"
    mark(result, marked)
    made = make_report(editor, Media(calm.path), Settings(), result=marked)
    assert not made.faults
    after = [shown for shown in images(made.html) if " after" in shown.alternative]
    assert after
    for shown in after:
        assert shown.pixels[310:340, 10:40].mean() > 200
    check(made.html, calm, {max(calm.truth.people)})


def mark(source: Path, output: Path) -> None:
    """Copy a video with a white square in its corner at the bottom left."""
    from app.video import Writing, open_sink, open_source
    from testmedia.videos import NO_BOXES

    with open_sink(source, output, Writing()) as sink:
        for frame in open_source(source):
            luma = frame.planes()[0].pixels
            luma[300:350, 0:50] = 235
            sink.write(frame, NO_BOXES)
        sink.commit()


def test_a_result_that_shows_a_hidden_face_is_a_fault_and_is_not_shown(
    clip: Make, tmp_path: Path
) -> None:
    calm = clip("calm")
    editor = opened(two_people(calm), tmp_path)
    result = copy_video(calm.path, tmp_path / "result.mp4")
    made = make_report(editor, Media(calm.path), Settings(), result=result)
    assert not made.is_done
    assert "readable" in made.faults[0]
    assert "Review required" in made.sentence
    check(made.html, calm, {max(calm.truth.people)})


def test_another_file_is_no_result(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    editor = opened(two_people(calm), tmp_path)
    with pytest.raises(MediaError):
        make_report(editor, Media(calm.path), Settings(), result=clip("sizes").path)
    with pytest.raises(PlanError, match="another file"):
        make_report(editor, Media(clip("sizes").path), Settings())


def test_a_result_that_is_not_that_of_the_edited_plan_is_a_fault(
    clip: Make, tmp_path: Path
) -> None:
    calm, settings = clip("calm"), Settings()
    editor = opened(two_people(calm), tmp_path)
    result = rendered(editor, calm, tmp_path / "result.mp4")
    last = LastResult.of(result, editor.review.to_plan(), settings)

    def faults() -> tuple[str, ...]:
        return make_report(editor, Media(calm.path), settings, result=result, last=last).faults

    assert faults() == ()
    keys = [[5, 0, 0, 40, 40]]
    editor.edit("region", Target("region", 2), {"first": 5, "last": 24, "keys": keys}, "Ann")
    # The corner is readable in the old result, too.
    assert faults()[0] == "20 frames must be hidden in another way since the result was rendered"
    editor.undo("Ann")
    assert faults() == ()
    mark(result, tmp_path / "marked.mp4")
    result = tmp_path / "marked.mp4"
    assert faults() == ("the result is not the file that was rendered last",)
