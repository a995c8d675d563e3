"""Planted leaks are found in exactly their frames, and good results have none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.config import Settings
from app.effects import EFFECTS
from app.pipeline import FaceBlur
from app.pipeline.rendering import effect_of
from app.plan import Plan
from app.verification import Verification, verify
from app.video import Media
from testmedia.clip import Clip
from testmedia.fetch import fetch
from testmedia.leaks import HalfTransparent, exposed, shifted, with_gap
from testmedia.scene import NTSC
from testmedia.scenes import SMALL
from testmedia.truth import Seen
from testmedia.videos import VideoSpec

Clips = Callable[[str], Clip]
Plans = Callable[[str], Plan]
FIRST = 27
"""The first frame of each planted leak."""


def spans(found: Verification) -> set[tuple[str, int, int]]:
    return {(one.kind, one.first, one.last) for one in found.findings}


def with_effect(session: FaceBlur, effect: str) -> FaceBlur:
    return session.changed(session.settings.changed(effect=effect))


def rendered(session: FaceBlur, clip: Clip, plan: Plan, folder: Path, suffix: str = ".mp4") -> Path:
    output = folder / f"out{suffix}"
    session.render(clip.path, plan, output, overwrite=True)
    return output


@pytest.mark.parametrize(
    ("name", "effect"),
    [*(("calm", effect) for effect in EFFECTS), ("uneven", "pixelate"), ("crowd", "blur")],
)
def test_a_good_result_has_no_findings(
    name: str, effect: str, session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    plan, source = plan_of(name), Media(clip(name).path)
    result = Media(rendered(with_effect(session, effect), clip(name), plan, tmp_path))
    found = verify(session, plan, result, source)
    assert spans(found) == set()
    assert (found.frames, found.compared) == (clip(name).truth.frames, True)


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".flv", ".webm"])
def test_other_containers_and_codecs_have_no_findings(
    suffix: str, session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    result = rendered(session, clip("calm"), plan_of("calm"), tmp_path, suffix)
    found = verify(session, plan_of("calm"), Media(result), Media(clip("calm").path))
    assert spans(found) == set()


def test_copied_groups_of_pictures_have_no_findings(
    session: FaceBlur, clip: Clips, people: Path, tmp_path: Path
) -> None:
    """Of the first and of the last shot only one person is hidden, or nobody."""
    listed = FaceBlur(Settings(people=people, models="open"))
    media = Media(clip("cuts").path)
    plan = listed.analyse(media)
    listed.render(media, plan, tmp_path / "out.mp4")
    found = verify(listed, plan, Media(tmp_path / "out.mp4"), media)
    assert spans(found) == set()
    assert found.people == 1
    assert {track.decision for track in plan.tracks} == {"blur", "keep"}


def person_in(plan: Plan, clip: Clip, person: str) -> int:
    """The id of the track of a person in the frame of the leaks."""
    (seen,) = (one for one in clip.truth.at(FIRST) if one.person == person)
    middle = np.asarray(seen.box).reshape(2, 2).mean(axis=0)
    for track in plan.tracks:
        if track.first <= FIRST <= track.last:
            low, high = track.boxes[FIRST - track.first, 1:].reshape(2, 2)
            if (low <= middle).all() and (middle <= high).all():
                return track.id
    raise AssertionError("there is no track")


@pytest.mark.parametrize(
    ("name", "count", "effect"),
    [("calm", 1, "blur"), ("calm", 5, "pixelate"), ("leans", 5, "solid")],
)
def test_a_gap_in_a_plan_is_found_in_its_frames(
    name: str,
    count: int,
    effect: str,
    session: FaceBlur,
    clip: Clips,
    plan_of: Plans,
    tmp_path: Path,
) -> None:
    plan, media = plan_of(name), Media(clip(name).path)
    bad = with_gap(plan, person_in(plan, clip(name), "obama"), FIRST, count)
    result = Media(rendered(with_effect(session, effect), clip(name), bad, tmp_path))
    last = FIRST + count - 1
    assert spans(verify(session, bad, result, media)) == {("unknown", FIRST, last)}
    assert spans(verify(session, plan, result, media)) == {("readable", FIRST, last)}
    assert spans(verify(session, bad, result)) == {("unknown", FIRST, last)}


@pytest.mark.parametrize(
    ("name", "effect"), [("calm", "blur"), ("calm", "pixelate"), ("leans", "solid")]
)
def test_a_box_beside_the_face_is_found_in_its_frames(
    name: str, effect: str, session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    plan, media = plan_of(name), Media(clip(name).path)
    bad = shifted(plan, person_in(plan, clip(name), "obama"), FIRST, 5)
    result = Media(rendered(with_effect(session, effect), clip(name), bad, tmp_path))
    for judged in (bad, plan):
        (finding,) = verify(session, judged, result, media).findings
        assert (finding.first, finding.last) == (FIRST, FIRST + 4)


@pytest.mark.parametrize("effect", ["blur", "solid"])
def test_a_weak_effect_is_found_in_all_frames(
    effect: str, session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    plan, media = plan_of("calm"), Media(clip("calm").path)
    weak = HalfTransparent(effect_of(session.settings, effect))
    session.render(media, plan, tmp_path / "out.mp4", effect=weak)
    found = verify(session, plan, Media(tmp_path / "out.mp4"), media)
    assert spans(found) == {("readable", 0, 59)}
    assert {one.track for one in found.findings} == {track.id for track in plan.tracks}


@pytest.mark.parametrize("name", ["calm", "crowd", "dark"])
def test_a_frame_of_the_source_is_found_with_every_face(
    name: str, session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    plan, media = plan_of(name), Media(clip(name).path)
    result = Media(rendered(session, clip(name), exposed(plan, FIRST), tmp_path))
    found = verify(session, plan, result, media)
    assert spans(found) == {("readable", FIRST, FIRST)}
    boxes = [one.box for one in found.findings if one.box is not None]
    for seen in clip(name).truth.at(FIRST):
        assert any(holds_middle(box, seen) for box in boxes), seen


def holds_middle(box: tuple[float, ...], seen: Seen) -> bool:
    x, y = np.asarray(seen.box).reshape(2, 2).mean(axis=0)
    return bool(box[0] <= x <= box[2] and box[1] <= y <= box[3])


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_images(suffix: str, session: FaceBlur, tmp_path: Path) -> None:
    source = tmp_path / f"in{suffix}"
    picture = cv2.imread(str(fetch("obama2.jpg")))
    assert picture is not None
    cv2.imwrite(str(source), picture)
    media, output = Media(source), tmp_path / f"out{suffix}"
    plan = session.blur(media, output)
    assert verify(session, plan, Media(output), media).clean
    assert spans(verify(session, plan, Media(source), media)) == {("readable", 0, 0)}
    assert spans(verify(session, plan, Media(source))) == {("readable", 0, 0)}


def test_a_listed_person_who_is_kept_is_recognised(
    clip: Clips, people: Path, plan_of: Plans, session: FaceBlur, tmp_path: Path
) -> None:
    """The plan was made without photos, and a person was kept who should be hidden."""
    plan = plan_of("calm")
    number = person_in(plan, clip("calm"), "obama")
    kept = keeping(plan, number)
    media, result = Media(clip("calm").path), Media(rendered(session, clip("calm"), kept, tmp_path))
    assert verify(session, kept, result, media).clean
    listed = FaceBlur(Settings(people=people, models="open"))
    for source in (media, None):
        (finding,) = verify(listed, kept, result, source).findings
        assert (finding.kind, finding.person, finding.track) == ("recognised", "obama", number)
        assert (finding.first, finding.last) == (0, 59)
    assert verify(listed, keeping(plan, number, "obama"), result, media).clean, "it was decided"


def keeping(plan: Plan, number: int, person: str | None = None) -> Plan:
    """The plan with one track kept, which names this person."""
    tracks = (
        replace(one, decision="keep", person=person) if one.id == number else one
        for one in plan.tracks
    )
    return replace(plan, tracks=tuple(tracks))


def test_other_frames_are_a_finding(
    session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    media = Media(clip("calm").path)
    short = VideoSpec(size=SMALL, count=30, rate=NTSC).write(tmp_path / "short.mp4")
    (*_, finding) = verify(session, plan_of("calm"), Media(short), media).findings
    assert finding.kind == "frames"
    assert "30" in finding.text
    small = VideoSpec(size=(320, 180), count=60, rate=NTSC).write(tmp_path / "small.mp4")
    (*_, finding) = verify(session, plan_of("calm"), Media(small), media).findings
    assert (finding.kind, finding.first) == ("frames", 0)
