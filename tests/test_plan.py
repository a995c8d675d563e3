"""Plans: records, files, and everything that is refused."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import MediaError, OutputError, PlanError
from app.files import sha256_of
from app.plan import (
    ModelRecord,
    ModelsRecord,
    Person,
    Plan,
    PlanTrack,
    SourceRecord,
    read_plan,
    write_plan,
)

FRAMES = 400
MODEL = ModelRecord("detector.onnx", "b" * 64)


def make_track(number: int = 0, first: int = 10, last: int = 12, **changes: Any) -> PlanTrack:
    rows = np.array(
        [[frame, 100.5, 40, 150.25, 99.8] for frame in range(first, last + 1)], np.float32
    )
    values: dict[str, Any] = {
        "id": number,
        "shot": 0,
        "first": first,
        "last": last,
        "person": "alice",
        "similarity": 0.95,
        "decision": "blur",
        "uncertain": False,
        "reason": "matches alice",
        "boxes": rows,
    }
    return PlanTrack(**values | changes)


def make_plan(*tracks: PlanTrack, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "source": SourceRecord("a" * 64, "clip.mp4", FRAMES, 640, 360, 9.17),
        "settings": {"effect": "blur", "select": []},
        "models": ModelsRecord("open", MODEL, MODEL),
        "people": (Person("alice", 2),),
        "shots": ((0, 20), (20, FRAMES)),
        "tracks": tracks,
    }
    return Plan(**values | changes)


def record(plan: Plan) -> dict[str, Any]:
    """Return the content of a plan as plain values, for comparisons."""
    return {
        key: [
            {
                field.name: value.tolist()
                if isinstance(value := getattr(track, field.name), np.ndarray)
                else value
                for field in dataclasses.fields(track)
            }
            for track in plan.tracks
        ]
        if key == "tracks"
        else getattr(plan, key)
        for key in ("source", "settings", "models", "people", "shots", "tracks")
    }


lefts = st.floats(-200, 630, width=32)
tops = st.floats(-200, 350, width=32)
sides = st.floats(0.0625, 5_000, width=32)


@st.composite
def tracks(draw: st.DrawFn) -> PlanTrack:
    first = draw(st.integers(0, FRAMES - 1))
    last = draw(st.integers(first, min(FRAMES - 1, first + 5)))
    rows = []
    for frame in range(first, last + 1):
        width, height = draw(sides), draw(sides)
        # A part of each box lies inside the frame.
        x, y = max(draw(lefts), -width / 2), max(draw(tops), -height / 2)
        rows.append([frame, x, y, x + width, y + height])
    return make_track(
        first=first,
        last=last,
        shot=draw(st.integers(0, 1)),
        person=draw(st.none() | st.text(max_size=5)),
        similarity=draw(st.none() | st.floats(-1, 1)),
        decision=draw(st.sampled_from(["blur", "keep"])),
        uncertain=draw(st.booleans()),
        reason=draw(st.text(max_size=20)),
        boxes=np.array(rows, np.float64),
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(tracks(), max_size=4), st.booleans())
def test_a_written_plan_can_be_read(tmp_path: Path, found: list[PlanTrack], named: bool) -> None:
    numbered = [dataclasses.replace(track, id=number) for number, track in enumerate(found)]
    plan = make_plan(*numbered, models=ModelsRecord("open", MODEL, MODEL if named else None))
    write_plan(plan, tmp_path / "plan.json")
    assert record(read_plan(tmp_path / "plan.json")) == record(plan)


def test_the_file_is_the_documented_json(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(make_plan(make_track(), make_track(1, 0, 0, person=None, similarity=None)), path)
    data = json.loads(path.read_text())
    names = ["version", "source", "settings", "models", "summary", "people", "shots", "tracks"]
    assert list(data) == names
    assert data["version"] == 1
    assert data["shots"] == [[0, 20], [20, FRAMES]]
    assert data["people"] == [{"name": "alice", "photos": 2}]
    assert data["tracks"][0] == {
        "id": 0,
        "shot": 0,
        "first": 10,
        "last": 12,
        "person": "alice",
        "similarity": 0.95,
        "decision": "blur",
        "uncertain": False,
        "reason": "matches alice",
        "unclear": None,
        "times": None,
        "card": None,
        "drawn": False,
        "boxes": [[frame, 100.5, 40.0, 150.25, 99.8] for frame in (10, 11, 12)],
    }
    header = next(line for line in path.read_text().splitlines() if '"id": 1' in line)
    assert '"decision": "blur"' in header


def test_the_reason_why_nobody_can_be_recognised_survives(tmp_path: Path) -> None:
    plan = make_plan(make_track(unclear="in profile", person=None, similarity=None))
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json").tracks[0].unclear == "in profile"


def test_an_older_plan_without_that_reason_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(make_plan(make_track()), path)
    path.write_text(path.read_text("utf-8").replace(', "unclear": null', ""), encoding="utf-8")
    assert "unclear" not in path.read_text("utf-8")
    assert read_plan(path).tracks[0].unclear is None


def test_the_counts_of_a_plan() -> None:
    people = (Person("alice", 2), Person("bob", 1))
    tracks = (
        make_track(0),
        make_track(1, decision="keep", person=None, similarity=None),
        make_track(2, uncertain=True, person=None, similarity=None, unclear="too dark"),
        make_track(3, uncertain=True),
    )
    plan = make_plan(*tracks, people=people)
    assert plan.not_found == ("bob",)
    assert plan.counts == {
        "frames": FRAMES,
        "people": 2,
        "tracks": 4,
        "hidden": 3,
        "uncertain": 2,
        "unclear": 1,
        "not_found": 1,
    }


def test_a_file_name_that_is_not_unicode_survives(tmp_path: Path) -> None:
    source = SourceRecord("a" * 64, "bad\udcff Zoë.mp4", FRAMES, 640, 360, 9.17)
    write_plan(make_plan(source=source), tmp_path / "plan.json")
    assert "Zoë" in (tmp_path / "plan.json").read_text("utf-8")
    assert read_plan(tmp_path / "plan.json").source == source


def test_writing_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("old")
    write_plan(make_plan(), path)
    assert read_plan(path).tracks == ()
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_plan(make_plan(settings={"effect": object()}), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_path_is_an_output_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "plan.json", tmp_path):
        with pytest.raises(OutputError, match="cannot be written"):
            write_plan(make_plan(), path)
    assert list(tmp_path.iterdir()) == []


def _set(*keys: str | int) -> Callable[[dict[str, Any], Any], None]:
    def change(data: dict[str, Any], value: Any) -> None:
        target: Any = data
        for key in keys[:-1]:
            target = target[key]
        target[keys[-1]] = value

    return change


ROW = [10, 1.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("keys", "value", "where"),
    [
        (("version",), 2, "version 2 is unknown"),
        (("version",), None, "version None"),
        (("extra",), 1, "extra: unknown key"),
        (("source", "frames"), 0, "source.frames: must be at least 1"),
        (("source", "frames"), 399, "shots: "),
        (("source", "frames"), 2 * 10**9, "source.frames: must be at most 10000000"),
        (("source", "frames"), 10**30, "source.frames: "),
        (("source", "width"), 0, "source.width: must be at least 1"),
        (("source", "height"), 10**6, "source.height: must be at most 65536"),
        (("source", "duration"), -1, "source.duration: must be at least 0"),
        (("people", 0, "photos"), -1, r"people\[0\].photos: must be at least 0"),
        (("shots", 0), [0, 2 * 10**9], r"shots\[0\]\[1\]: must be at most"),
        (("tracks", 0, "id"), -1, r"tracks\[0\].id: must be at least 0"),
        (("tracks", 0, "last"), 2 * 10**9, r"tracks\[0\].last: must be less than"),
        (
            ("tracks", 0, "boxes", 0),
            [10, -50, 10, -1, 60],
            r"tracks\[0\]: boxes\[0\]: lies outside",
        ),
        (("tracks", 0, "boxes", 1), [11, 640, 10, 700, 60], r"boxes\[1\]: lies outside the frame"),
        (("tracks", 0, "boxes", 2), [12, 10, -60, 60, 0], r"boxes\[2\]: lies outside the frame"),
        (("tracks", 0, "boxes", 2), [12, 10, 360, 60, 400], r"boxes\[2\]: lies outside the frame"),
        (("source", "frames"), True, "source.frames: is not a whole number"),
        (("source", "sha256"), "ab", "source.sha256: must be 64 hexadecimal digits"),
        (("source", "duration"), "1", "source.duration: is not a number"),
        (("source",), [], "source: is not an object"),
        (("models", "detector"), {}, "models.detector.file: missing"),
        (("models", "recogniser"), 1, "models.recogniser: is not an object"),
        (("people", 0), "alice", r"people\[0\]: is not an object"),
        (("shots",), [[0, 20], [21, FRAMES]], "shots: "),
        (("shots",), [[0, FRAMES], [FRAMES, FRAMES]], "shots: "),
        (("shots",), [], "shots: "),
        (("shots", 0), [0, "20"], r"shots\[0\]"),
        (("tracks", 0, "decision"), "hide", r"tracks\[0\].decision: must be 'blur' or 'keep'"),
        (("tracks", 0, "decision"), None, r"tracks\[0\].decision: must be 'blur' or 'keep'"),
        (("tracks", 0, "uncertain"), 1, r"tracks\[0\].uncertain"),
        (("tracks", 0, "similarity"), 2, r"tracks\[0\].similarity: must be at most"),
        (("tracks", 0, "shot"), 2, r"tracks\[0\]: there is no shot 2"),
        (("tracks", 0, "shot"), -1, r"tracks\[0\].shot: must be at least 0"),
        (("tracks", 0, "first"), 9, r"tracks\[0\]: boxes: expected shape \(4, 5\)"),
        (("tracks", 0, "last"), 13, r"tracks\[0\]: boxes"),
        (("tracks", 0, "colour"), 1, r"tracks\[0\].colour: unknown key"),
        (("tracks", 0, "boxes"), [ROW] * 3, r"tracks\[0\]: boxes: needs one row for each"),
        (("tracks", 0, "boxes"), [], r"tracks\[0\]: boxes"),
        (("tracks", 0, "boxes"), "x", r"tracks\[0\].boxes: is not a list"),
        (("tracks", 0, "boxes", 1), [11, 1, 1, 2], r"tracks\[0\].boxes: is not a list of rows"),
        (("tracks", 0, "boxes", 1), [11, 1, 1, 2, None], r"tracks\[0\].boxes"),
        (("tracks", 0, "boxes", 1), [11, 1, 1, 2, True], r"tracks\[0\].boxes"),
        (("tracks", 0, "boxes", 1), [11, 1, 1, 2, "2"], r"tracks\[0\].boxes"),
        (("tracks", 0, "boxes", 1), [11, 3, 1, 2, 2], r"tracks\[0\]: boxes\[1\]"),
        (("tracks", 0, "boxes", 1), [11, 1, 2, 2, 2], r"tracks\[0\]: boxes\[1\]"),
        (("tracks", 0, "boxes", 2), [12, 1, 1, 2, 1e6], r"tracks\[0\]: boxes\[2\]"),
        (("tracks", 0, "boxes", 2), [12, 1, 1, 2, 1e300], r"tracks\[0\]: boxes\[2\]"),
        (("tracks", 0, "boxes", 2), [12, 1, 1, 2, 10**400], "too large"),
        (("tracks", 0, "boxes", 2), [12, 1, 1, 2, float("nan")], "NaN"),
        (("tracks", 0, "similarity"), float("inf"), "Infinity"),
        (("tracks", 1, "id"), 0, "tracks: two tracks have the same id"),
    ],
)
def test_an_error_in_a_plan_is_refused_and_located(
    tmp_path: Path, keys: tuple[str | int, ...], value: object, where: str
) -> None:
    path = tmp_path / "plan.json"
    write_plan(make_plan(make_track(), make_track(1)), path)
    data = json.loads(path.read_text())
    _set(*keys)(data, value)
    path.write_text(json.dumps(data))
    with pytest.raises(PlanError, match=where) as caught:
        read_plan(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"1",
        b"\xff\xfe",
        b"{",
        b"[" * 100_000,
        b'{"version": 1, "version": 1}',
        b'{"version": 1}',
    ],
)
def test_a_file_that_is_not_a_plan_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(PlanError, match=r"plan\.json: ") as caught:
        read_plan(path)
    assert "\n" not in str(caught.value)


def test_a_missing_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        read_plan(tmp_path / "plan.json")


@given(st.lists(tracks(), max_size=8), st.integers(0, FRAMES - 1))
def test_regions_are_those_of_the_tracks_to_hide(found: list[PlanTrack], frame: int) -> None:
    plan = make_plan(*(dataclasses.replace(track, id=i) for i, track in enumerate(found)))
    expected = [
        row[1:].tolist()
        for track in plan.tracks
        for row in track.boxes
        if track.decision == "blur" and row[0] == frame
    ]
    regions = plan.regions_at(frame)
    assert regions.shape == (len(expected), 4)
    assert regions.dtype == np.float32
    assert regions.tolist() == expected


def test_a_long_track_is_found_at_each_of_its_frames() -> None:
    plan = make_plan(make_track(0, 3, 333), make_track(1, 3, 333, decision="keep"))
    assert [len(plan.regions_at(frame)) for frame in (0, 2, 3, 64, 128, 333, 334, 399)] == [
        *(0, 0, 1, 1, 1, 1, 0, 0)
    ]


@pytest.mark.parametrize("frame", [-1, FRAMES])
def test_a_frame_outside_the_plan_is_refused(frame: int) -> None:
    with pytest.raises(PlanError, match="not in the plan"):
        make_plan(make_track()).regions_at(frame)


def test_the_boxes_of_a_track_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        make_track().boxes[0, 1] = 0


def test_a_hash_is_that_of_the_whole_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5_000
    path = tmp_path / "file"
    path.write_bytes(content)
    assert sha256_of(path) == hashlib.sha256(content).hexdigest()
    with pytest.raises(MediaError, match="cannot be read"):
        sha256_of(tmp_path)
