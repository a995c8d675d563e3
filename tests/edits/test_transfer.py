"""Edits of an older plan in a new one: nobody is shown whom the reviewer has not seen."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cli import main
from app.edits import VIDEO, Editor, Target, Transferred, edits_path, open_doubts, take_over
from app.errors import EditsError, UsageError
from app.plan import Plan, PlanTrack
from tests.edits.edited_plans import opened, reviewed_plan, rows_at, track
from tests.edits.test_journal import make_random_edit

ANN, BOB, EVE = "Ann", "Bob", "Eve"
TRACK = [Target("track", number) for number in range(8)]


@pytest.fixture
def old(tmp_path: Path) -> Editor:
    """The plan of ``reviewed_plan``, without edits."""
    return opened(tmp_path)


def new_plan(folder: Path, *tracks: PlanTrack) -> Path:
    path = folder / "new.json"
    replace(reviewed_plan(), tracks=tracks).write(path)
    return path


def moved(number: int, first: int, last: int, x: float, **changes: Any) -> PlanTrack:
    """A track as another analysis finds it: two pixels away."""
    return track(number, first, last, x + 2, **changes)


def transferred(old: Editor, path: Path) -> tuple[Transferred, Editor]:
    done = take_over(old, path, EVE)
    return done, Editor.open(path)


def decisions(editor: Editor) -> dict[int, str]:
    return {one.id: one.decision for one in editor.review.to_plan().tracks}


def test_decisions_go_to_the_same_faces_in_the_name_of_their_reviewers(
    old: Editor, tmp_path: Path
) -> None:
    old.edit("decide", TRACK[0], "keep", ANN)
    old.edit("decide", TRACK[1], "blur", BOB)
    path = new_plan(
        tmp_path,
        moved(0, 0, 49, 300, card="Person 1", decision="keep"),
        moved(1, 50, 99, 300),
        moved(2, 0, 49, 100),
    )
    before = path.read_bytes()
    done, new = transferred(old, path)
    assert decisions(new) == {0: "blur", 1: "blur", 2: "keep"}
    by = {edit.target: edit.reviewer for edit in new.journal.edits}
    assert by == {TRACK[2]: ANN, TRACK[0]: BOB, VIDEO: EVE}
    assert done.unfit == ()
    assert new.review.notes[VIDEO].startswith("2 edits were taken over from an older plan")
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir() if one.name.endswith(".part")] == []


def test_what_was_taken_back_is_not_taken_over(old: Editor, tmp_path: Path) -> None:
    old.edit("decide", TRACK[3], "blur", ANN)
    old.edit("decide", TRACK[0], "keep", ANN)
    old.undo(BOB)
    path = new_plan(tmp_path, moved(0, 0, 49, 100), moved(1, 50, 99, 100, decision="keep"))
    _, new = transferred(old, path)
    assert decisions(new) == {0: "blur", 1: "blur"}


def test_a_face_that_the_reviewer_did_not_see_stays_hidden(old: Editor, tmp_path: Path) -> None:
    """The new track has the kept face, and then frames in which the older plan had no face."""
    old.edit("decide", TRACK[4], "keep", ANN)
    longer = moved(0, 55, 99, 500)
    path = new_plan(tmp_path, longer)
    _, new = transferred(old, path)
    plan = new.review.to_plan()
    for frame in range(100):
        assert bool(len(plan.regions_at(frame))) is (55 <= frame < 60), frame


def test_a_track_that_is_mostly_somebody_else_is_not_kept(old: Editor, tmp_path: Path) -> None:
    old.edit("decide", TRACK[5], "keep", ANN)
    # It goes on for much longer than the kept track, as if another person had come there.
    path = new_plan(tmp_path, moved(0, 0, 49, 500))
    done, new = transferred(old, path)
    assert decisions(new) == {0: "blur"}
    assert done.unfit == (
        "edit 1 by Ann: keep track 5: no track of the new plan shows only this face",
    )


def test_a_decision_without_its_face_is_listed(old: Editor, tmp_path: Path) -> None:
    old.edit("decide", TRACK[5], "keep", ANN)
    old.edit("confirm", TRACK[2], True, BOB)
    old.edit("note", TRACK[4], "ask", BOB)
    path = new_plan(tmp_path, moved(0, 0, 49, 100))
    done, new = transferred(old, path)
    assert "edit 1 by Ann: keep track 5: no such face in the new plan" in done.unfit
    assert "edit 3 by Bob: note track 4: no such face in the new plan" in done.unfit
    assert decisions(new)[0] == "blur"


def test_a_hidden_face_that_the_new_plan_lacks_is_drawn(old: Editor, tmp_path: Path) -> None:
    old.edit("decide", TRACK[1], "blur", ANN)
    path = new_plan(tmp_path, moved(0, 10, 39, 300, decision="keep"))
    done, new = transferred(old, path)
    plan = new.review.to_plan()
    for frame in range(50):
        (box,) = plan.regions_at(frame)
        expected = [302, 100, 342, 140] if 10 <= frame < 40 else [300, 100, 340, 140]
        assert box.tolist() == expected, frame
    assert len(plan.regions_at(50)) == 0
    assert [text.split(": ")[2].split(";")[0] for text in done.unfit] == [
        "no such face in the new plan in frames 0 to 9",
        "no such face in the new plan in frames 40 to 49",
    ]


def test_a_face_that_touches_a_hidden_one_is_hidden(old: Editor, tmp_path: Path) -> None:
    """In doubt, hide: also if another decision wants to keep it."""
    old.edit("decide", TRACK[0], "keep", ANN)
    old.edit("decide", TRACK[5], "blur", ANN)
    rows = rows_at(100, 0, 49)
    rows[2, [1, 3]] += 400 - 15  # for one frame it is near the face that was hidden
    path = new_plan(tmp_path, replace(moved(0, 0, 49, 100), boxes=rows, decision="keep"))
    done, new = transferred(old, path)
    assert decisions(new)[0] == "blur"
    assert "the new track 0 meets a face that was hidden" in done.unfit[0]


def test_a_track_that_joins_two_people_is_not_kept(old: Editor, tmp_path: Path) -> None:
    old.edit("decide", TRACK[0], "keep", ANN)
    rows = rows_at(100, 0, 49)
    rows[30:, [1, 3]] += 200  # it goes on as Person 1, about whom nobody has decided
    path = new_plan(tmp_path, replace(moved(0, 0, 49, 100), boxes=rows))
    _, new = transferred(old, path)
    assert decisions(new) == {0: "blur"}


def test_of_two_tracks_at_one_place_the_hidden_one_counts(tmp_path: Path) -> None:
    """An analysis may find one face twice."""
    path = tmp_path / "clip.json"
    twice = (track(0, 0, 49, 100), track(1, 0, 49, 100), track(2, 50, 99, 100))
    replace(reviewed_plan(), tracks=twice).write(path)
    old = Editor.open(path)
    for number in (0, 2):
        old.edit("decide", TRACK[number], "keep", ANN)
    new = new_plan(tmp_path, moved(0, 0, 49, 100), moved(1, 50, 99, 100))
    assert decisions(transferred(old, new)[1]) == {0: "blur", 1: "keep"}


def test_a_kept_person_whom_the_new_analysis_doubts_stays_hidden(
    old: Editor, tmp_path: Path
) -> None:
    """Nobody has looked at the single tracks of a card."""
    old.edit("decide", Target("card", "Person 1"), "keep", ANN)
    path = new_plan(tmp_path, moved(0, 0, 49, 300, reason="may be alice", uncertain=True))
    done, new = transferred(old, path)
    assert decisions(new) == {0: "blur"}
    assert "edit 1 by Ann: keep track 1: the new analysis hides it as track 0: may be alice" in (
        done.unfit
    )
    old.edit("decide", TRACK[1], "keep", ANN)  # now somebody has
    edits_path(path).unlink(missing_ok=True)
    _, new = transferred(old, path)
    assert decisions(new) == {0: "keep"}


def test_a_hidden_person_takes_new_tracks_along(old: Editor, tmp_path: Path) -> None:
    old.edit("decide", Target("card", "Person 1"), "blur", ANN)
    person: dict[str, Any] = {"card": "Person 7", "decision": "keep"}
    path = new_plan(
        tmp_path,
        moved(0, 0, 49, 300, **person),
        moved(1, 50, 99, 100, **person),
        moved(2, 70, 99, 200, **person),  # the older plan has no face there
        moved(3, 60, 99, 400, card="Person 8", decision="keep"),
    )
    _, new = transferred(old, path)
    assert decisions(new) == {0: "blur", 1: "blur", 2: "blur", 3: "keep"}


@pytest.mark.parametrize("looked_at", [True, False])
def test_doubts_are_settled_only_where_somebody_has_looked(
    old: Editor, tmp_path: Path, looked_at: bool
) -> None:
    target = TRACK[2] if looked_at else Target("card", "alice")
    old.edit("decide", target, "keep", ANN)
    path = new_plan(tmp_path, moved(0, 50, 99, 300, uncertain=True))
    _, new = transferred(old, path)
    assert decisions(new) == {0: "keep"}
    unsure = [doubt for doubt in open_doubts(new.review) if doubt.sort == "unsure"]
    assert bool(unsure) is not looked_at


def test_confirmations(old: Editor, tmp_path: Path) -> None:
    for target in (TRACK[1], TRACK[2], TRACK[4], Target("lost", 5), Target("listed", "bob"), VIDEO):
        old.edit("confirm", target, True, ANN)
    path = new_plan(
        tmp_path,
        moved(0, 0, 49, 300, uncertain=True),  # it was kept, and is hidden now
        moved(1, 50, 99, 300, card="alice", decision="keep"),  # it was hidden, and is kept now
        moved(2, 60, 99, 500, uncertain=True, unclear="too dark"),
        moved(3, 0, 22, 500),
    )
    done, new = transferred(old, path)
    assert decisions(new) == {0: "blur", 1: "blur", 2: "blur", 3: "blur"}
    queue = [(doubt.sort, doubt.target) for doubt in open_doubts(new.review)]
    assert queue == [("unsure", TRACK[0])]
    assert any("confirm keep of track 1" in text for text in done.unfit)
    assert any("confirm the video" in text for text in done.unfit)


def test_a_face_that_is_lost_earlier_is_a_new_doubt(old: Editor, tmp_path: Path) -> None:
    old.edit("confirm", Target("lost", 5), True, ANN)
    path = new_plan(tmp_path, moved(0, 0, 18, 500))
    done, _ = transferred(old, path)
    assert "no face of the new plan is lost there" in done.unfit[0]
    assert not edits_path(path).exists(), "nothing was taken over"


def test_regions_and_notes_are_copied(old: Editor, tmp_path: Path) -> None:
    value = {"first": 3, "last": 9, "keys": [[3, 10, 20, 40, 60], [9, 50, 20, 80, 60]]}
    old.edit("region", Target("region", 6), value, ANN)
    old.edit("region", Target("region", 7), value, ANN)
    old.edit("region", Target("region", 7), None, ANN)
    old.edit("note", Target("region", 6), "the screen", BOB)
    old.edit("note", TRACK[0], "asked", BOB)
    old.edit("note", Target("card", "Person 1"), "his brother", BOB)
    old.edit("note", VIDEO, "for Monday", BOB)
    path = new_plan(
        tmp_path,
        moved(8, 0, 49, 100),
        moved(9, 0, 49, 300, card="Person 5", decision="keep"),
    )
    done, new = transferred(old, path)
    plan, expected = new.review.to_plan(), old.review.to_plan()
    for frame in range(3, 10):
        drawn = [t.boxes[frame - 3].tolist() for p in (plan, expected) for t in p.tracks if t.drawn]
        assert drawn[0] == drawn[1], frame
    assert len([one for one in plan.tracks if one.drawn]) == 1
    notes = {str(target): text for target, text in new.review.notes.items()}
    assert notes.pop("the video").endswith(".\nfor Monday")
    assert notes == {"region 10": "the screen", "track 8": "asked", "card Person 5": "his brother"}
    assert done.unfit == ()


def test_names_follow_the_faces(old: Editor, tmp_path: Path) -> None:
    """Numbers of people differ between analyses; Person 2 may be somebody else now."""
    old.edit("merge", Target("card", "Person 2"), "Anna", ANN)
    old.edit("split", TRACK[3], {"frame": 60}, BOB)
    old.edit("assign", TRACK[6], None, BOB)
    old.edit("assign", TRACK[4], "Person 1", BOB)
    path = new_plan(
        tmp_path,
        moved(0, 0, 20, 500, card="Person 1"),
        moved(1, 0, 49, 300, card="Person 2", decision="keep"),
        moved(2, 60, 99, 500, card=None),
        moved(3, 50, 58, 100, card="Person 2", decision="keep"),
    )
    old_cards = {one.id: one.card for one in old.review.tracks.values()}
    assert (old_cards[4], old_cards[5]) == ("Person 1", "Anna")
    _, new = transferred(old, path)
    cards = {one.id: one.card for one in new.review.tracks.values()}
    assert cards == {0: "Anna", 1: "Person 2", 2: "Person 2", 3: "Person 2"}
    assert decisions(new)[2] == "blur", "a name shows nobody"


def test_splits_are_made_again_where_the_parts_differ(old: Editor, tmp_path: Path) -> None:
    old.edit("split", TRACK[0], {"frame": 20}, ANN)
    old.edit("decide", TRACK[0], "keep", ANN)
    old.edit("decide", TRACK[6], "blur", ANN)
    old.edit("split", TRACK[1], {"frame": 20}, ANN)  # of no consequence
    path = new_plan(
        tmp_path, moved(0, 0, 49, 100, decision="keep"), moved(1, 0, 49, 300, decision="keep")
    )
    _, new = transferred(old, path)
    plan = new.review.to_plan()
    assert len(plan.tracks) == 3
    for frame in range(50):
        assert len(plan.regions_at(frame)) == (0 if frame < 20 else 1), frame


def test_wrong_plans_are_refused(old: Editor, tmp_path: Path) -> None:
    path = new_plan(tmp_path, moved(0, 0, 49, 100))
    with pytest.raises(EditsError, match="no edits in effect"):
        take_over(old, path, EVE)
    old.edit("decide", TRACK[0], "keep", ANN)
    take_over(old, path, EVE)
    with pytest.raises(UsageError, match="already exists"):
        take_over(old, path, EVE)
    other = replace(reviewed_plan().source, sha256="b" * 64)
    replace(reviewed_plan(), source=other).write(tmp_path / "other.json")
    with pytest.raises(EditsError, match="another video"):
        take_over(old, tmp_path / "other.json", EVE)


def boxes_at(tracks: Sequence[PlanTrack], frame: int) -> Iterator[tuple[PlanTrack, list[float]]]:
    for one in tracks:
        if one.first <= frame <= one.last:
            yield one, one.boxes[frame - one.first, 1:].tolist()


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """The IoU of two boxes, written again so that the test does not share the code."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (area - width * height)


def random_plan(rng: random.Random) -> Plan:
    """The faces of ``reviewed_plan`` as another analysis might find them, and some others."""
    tracks: list[PlanTrack] = []
    for one in reviewed_plan().tracks:
        pieces = [(one.first, one.last)]
        if rng.random() < 0.4:
            cut = rng.randrange(one.first + 1, one.last)
            pieces = [(one.first, cut), (cut + rng.randrange(1, 4), one.last)]
        for begin, end in pieces:
            first = max(begin + rng.randrange(-3, 3), 50 * one.shot)
            last = min(end + rng.randrange(-3, 12), 50 * one.shot + 49)
            if first >= last or rng.random() < 0.2:
                continue
            x = float(one.boxes[0, 1]) + rng.uniform(-15, 15)
            rows = rows_at(x, first, last, rng.uniform(34, 46))
            if rng.random() < 0.3:  # it goes on as somebody else
                rows[rng.randrange(len(rows)) :, [1, 3]] += 200 if x < 300 else -200
            changed = replace(
                one, id=len(tracks), first=first, last=last, boxes=rows, times=None,
                card=rng.choice([one.card, "Person 1", "Person 2", None]),
                decision=rng.choice(["blur", "keep"]), uncertain=rng.random() < 0.3,
            )  # fmt: skip
            tracks.append(changed)
    return replace(reviewed_plan(), tracks=tuple(tracks))


@pytest.mark.parametrize("seed", range(60))
def test_random_edits_show_nobody_who_was_not_seen(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    old, path = opened(tmp_path), tmp_path / "new.json"
    for _ in range(rng.randrange(1, 30)):
        make_random_edit(old, rng)
    if not old.in_effect:
        old.edit("decide", TRACK[1], "blur", ANN)
    random_plan(rng).write(path)
    take_over(old, path, EVE)
    new = Editor.open(path)
    analysed = {one.id: one for one in new.review.plan.tracks}
    before = [one for one in old.review.to_plan().tracks if not one.drawn]
    result = new.review.to_plan()
    for frame in range(100):
        then = list(boxes_at(before, frame))
        found = list(boxes_at(list(analysed.values()), frame))
        hidden = [box for one, box in boxes_at(result.tracks, frame) if one.decision == "blur"]
        for one, box in found:
            if one.decision == "blur" and box not in hidden:
                likeness = [(overlap(box, other), t.decision) for t, other in then]
                assert max(likeness, default=(0.0, ""))[0] >= 0.3, "nobody has seen this face"
                assert max(likeness)[1] == "keep", "the reviewer has seen it hidden"
        for one, box in then:
            if one.decision == "blur" and one.reason.startswith("decided"):
                assert max((overlap(box, other) for other in hidden), default=0) >= 0.3, frame
    drawn = [plan.regions_at for plan in (old.review.to_plan(), result)]
    for region in old.review.regions.values():
        for row in region.rows():
            kept = [box.tolist() for box in drawn[1](int(row[0]))]
            assert any(np.allclose(row[1:], box, atol=0.02) for box in kept)


def test_the_command_line_takes_edits_over(
    old: Editor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old.edit("decide", TRACK[0], "keep", ANN)
    old.edit("decide", TRACK[5], "keep", ANN)
    path = new_plan(tmp_path, moved(0, 0, 49, 100))
    command = ["edits", str(path), "--from", str(tmp_path / "clip.json"), "--reviewer", EVE]
    assert main(command) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "1 edit taken over"
    assert second.endswith("  Ann  track 0: keep (was hide)")
    assert third == "does not fit: edit 2 by Ann: keep track 5: no such face in the new plan"
    assert main(command) == 2
    assert "already exists" in capsys.readouterr().err
