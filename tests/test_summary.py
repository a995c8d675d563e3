"""The summary of a plan: people, times and doubts."""

import dataclasses
from pathlib import Path

import numpy as np

from app import FaceBlur, Media, Settings
from app.plan import Person, Plan, PlanTrack, read_plan, summarise, write_plan
from testmedia.fetch import fetch
from testmedia.videos import VideoSpec
from tests.test_plan import make_plan, make_track


def track(number: int, first: int, last: int, **changes: object) -> PlanTrack:
    rows = [[frame, 10, 10, 50, 50] for frame in range(first, last + 1)]
    return make_track(number, first, last, boxes=np.array(rows, np.float64), **changes)


def plan(*tracks: PlanTrack) -> Plan:
    return make_plan(*tracks, people=(Person("alice", 2), Person("bob", 1)))


def test_each_person_has_a_line_with_times() -> None:
    nobody = {"person": None, "similarity": None}
    found = summarise(
        plan(
            track(0, 2, 5, times=(0.2, 0.6)),
            track(1, 4, 9, times=(0.4, 61.04)),
            track(2, 0, 0, **nobody, decision="keep", times=(0.0, 0.1)),
            track(3, 1, 1, **nobody, uncertain=True, unclear="dark", times=(0.1, 0.2)),
        )
    )
    (alice, unknown, visible) = found.appearances
    assert (alice.person, alice.hidden, alice.tracks, alice.frames) == ("alice", True, 2, 8)
    assert (alice.begin, alice.end) == (0.2, 61.04)
    assert (unknown.person, unknown.hidden, unknown.frames) == (None, True, 1)
    assert not visible.hidden
    assert found.not_found == ("bob",)
    assert list(found.lines()) == [
        "hidden: alice, 2 tracks, 0:00.2 to 1:01.0",
        "hidden: faces that cannot be told, 1 track, 0:00.1 to 0:00.2",
        "visible: faces that cannot be told, 1 track, 0:00.0 to 0:00.1",
        "cannot tell: 1 track in which nobody can be recognised",
    ]


def test_without_times_frames_count_alike() -> None:
    one = plan(track(0, 2, 5))
    source = dataclasses.replace(one.source, duration=one.source.frames * 0.5)
    (found,) = summarise(dataclasses.replace(one, source=source)).appearances
    assert (found.begin, found.end) == (1.0, 3.0)


def test_the_summary_in_a_file_follows_the_tracks(tmp_path: Path) -> None:
    """An editor changes a decision and not the summary, which is written anew."""
    path = tmp_path / "plan.json"
    write_plan(plan(track(0, 2, 5)), path)
    text = path.read_text("utf-8")
    assert '"hidden": 1' in text
    path.write_text(text.replace('"decision": "blur"', '"decision": "keep"'), "utf-8")
    changed = read_plan(path)
    write_plan(changed, path)
    assert '"hidden": 0' in path.read_text("utf-8")
    assert summarise(changed).hidden == 0


def test_the_times_are_those_of_the_frames(tmp_path: Path) -> None:
    """A photo before a still background appears at a known time of a video."""
    spec = VideoSpec(count=5)
    video = spec.write(tmp_path / "in.mp4")
    assert not FaceBlur(Settings(blur="everyone")).analyse(Media(video)).tracks
    clip = FaceBlur(Settings(blur="everyone")).analyse(Media(fetch("carphone.mp4")))
    (face, *_) = clip.tracks
    assert face.times is not None
    begin, end = face.times
    seconds = clip.source.duration / clip.source.frames
    assert abs(begin - face.first * seconds) < 0.002
    assert abs(end - (face.last + 1) * seconds) < 0.002
