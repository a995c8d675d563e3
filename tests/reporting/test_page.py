"""The content of a report: state, people, times, doubts, hashes; and what it never contains."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.config import Settings
from app.edits import VIDEO, Editor, Target, open_doubts
from app.errors import OutputError, UsageError
from app.plan import Person
from app.reporting import Report, make_report, read_second_look, report_page, write_report
from app.version import VERSION
from app.video import Media
from testmedia.clip import Clip
from tests.reporting.reports import (
    HIDDEN,
    SHOWN,
    faces_of,
    opened,
    plan_of,
    track_of,
    two_people,
    words,
)

Make = Callable[[str], Clip]
NASTY = '"><img src=x onerror=alert(1)> \u202eevil\x1b\nsecond & last line'
"""A note with markup, a mark of writing direction and a control character."""


class Elements(HTMLParser):
    """Collects the elements of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def values(self, tag: str, attribute: str) -> list[str | None]:
        return [
            found[attribute] for name, found in self.found if name == tag and attribute in found
        ]


def doubtful(clip: Clip, folder: Path) -> Editor:
    """Return a review with a doubt of each sort but the last one."""
    one, other = (faces_of(clip, person) for person in sorted(clip.truth.people))
    unsure = track_of(one[:30], 0, card=HIDDEN, uncertain=True, reason="may be barack")
    unclear = track_of(one[30:], 1, card=None, uncertain=True, unclear="too dark")
    lost = track_of(other[:25], 2, card=SHOWN)
    people = (Person(HIDDEN, 2), Person("zoë", 1))
    return opened(plan_of(clip, unsure, unclear, lost, people=people), folder)


def test_a_review_is_required_until_every_doubt_is_confirmed(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    editor = doubtful(calm, tmp_path)
    doubts = open_doubts(editor.review)
    assert [doubt.sort for doubt in doubts] == ["unsure", "cannot tell", "lost", "not found"]
    for number, doubt in enumerate(doubts):
        left = len(doubts) - number
        made = make_report(editor, Media(calm.path), Settings())
        assert (made.is_done, made.open_doubts) == (False, left)
        assert made.sentence == f"Review required: {left} open doubt{'s' if left > 1 else ''}"
        assert "<strong>Review required</strong>" in made.html
        assert "<strong>Done</strong>" not in made.html
        assert 'id="doubts"' in made.html
        editor.edit("confirm", doubt.target, True, "Ann")
    made = make_report(editor, Media(calm.path), Settings())
    assert (made.is_done, made.sentence) == (True, "Done: every doubt is confirmed")
    assert "<strong>Done</strong>" in made.html
    assert "Review required" not in made.html
    assert 'id="doubts"' not in made.html
    assert "a listed person was not found: 1, of which 1 confirmed" in made.html


def test_a_result_that_hides_nobody_needs_a_confirmation(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    editor = opened(two_people(calm, ("keep", "keep")), tmp_path)
    assert "the result hides nobody" in make_report(editor, Media(calm.path), Settings()).html
    editor.edit("confirm", VIDEO, True, "Ann")
    assert make_report(editor, Media(calm.path), Settings()).is_done


def test_the_people_are_there_with_times_decisions_and_notes(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    plan = two_people(calm)
    timed = dataclasses.replace(plan.tracks[0], times=(61.0, 63.04))
    editor = opened(dataclasses.replace(plan, tracks=(timed, plan.tracks[1])), tmp_path)
    editor.edit("note", Target("card", SHOWN), "has agreed in writing", "Ann")
    editor.edit("note", VIDEO, "for the evening news", "Ann")
    keys = [[10, 0, 0, 40, 40]]
    editor.edit("region", Target("region", 2), {"first": 10, "last": 19, "keys": keys}, "Ann")
    page = report_page(editor, Media(calm.path), Settings())
    text = " ".join(words(page).split())
    assert f"{HIDDEN} hidden listed person" in text
    assert f"{SHOWN} visible person who is not listed Note: has agreed in writing" in text
    assert "0 1:01.0 to 1:03.0 0 to 59 hidden matches alice" in text
    assert "Note: for the evening news" in text
    assert "Regions drawn by a reviewer hidden" in text
    assert "2 0:00.3 to 0:00.7 10 to 19 hidden drawn by a reviewer" in text
    assert "People hidden 1 People visible 1 Tracks hidden 2 of 3" in text
    assert f"Frames hiding a face 60 of {calm.truth.frames}" in text


def test_the_technical_facts_are_those_of_the_files(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    editor = opened(two_people(calm), tmp_path)
    editor.edit("decide", Target("track", 1), "blur", "Ann")
    page = report_page(editor, Media(calm.path), Settings(effect="pixelate"), result=None)
    last = json.loads((tmp_path / "plan.edits.jsonl").read_text().splitlines()[-1])
    text = " ".join(words(page).split())
    for name, digest in {
        f"Source: {calm.path.name}": hashlib.sha256(calm.path.read_bytes()).hexdigest(),
        "Plan": hashlib.sha256((tmp_path / "plan.json").read_bytes()).hexdigest(),
        "Edits: 1": last["hash"],
        "Detector: detector.onnx": "b" * 64,
    }.items():
        assert f"{name} {digest}" in text
    assert f"Program Face blur {VERSION}" in text
    assert "effect pixelate" in text
    assert re.search(r"Time of this report \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text)


def test_a_taken_back_edit_is_marked(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    editor = opened(two_people(calm), tmp_path)
    editor.edit("decide", Target("card", HIDDEN), "keep", "Ann")
    editor.undo("Bob")
    text = " ".join(words(report_page(editor, Media(calm.path), Settings())).split())
    about = f"Ann Decided about all faces of {HIDDEN} track 0 hidden visible taken back"
    assert about in text
    assert "Bob Took back edit 1" in text
    assert "Reviewed by Ann, Bob." in text


def test_nothing_is_loaded_or_run_and_names_stay_text(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    editor = opened(two_people(calm), tmp_path)
    editor.edit("note", Target("card", HIDDEN), NASTY.replace("\x1b", ""), "<b>Ann</b>")
    editor.edit("merge", Target("card", SHOWN), "</table><script>x</script>", "<b>Ann</b>")
    page = report_page(editor, Media(calm.path), Settings())
    elements = Elements(page)
    names = {name for name, _ in elements.found}
    assert not names & {"script", "link", "iframe", "object", "form", "base", "b", "svg"}
    assert not [key for _, found in elements.found for key in found if key.startswith("on")]
    assert not [key for _, found in elements.found for key in found if key == "style"]
    assert all(
        str(value).startswith("data:image/jpeg;base64,") for value in elements.values("img", "src")
    )
    assert all(str(value).startswith("#") for value in elements.values("a", "href"))
    assert "url(" not in page
    assert "@import" not in page
    assert "\u202e" not in page
    [policy] = [f["content"] for _, f in elements.found if f.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert all(elements.values("img", "alt"))
    assert words(page).count("<script>alert(1)</script>") >= 2


def test_the_photos_of_the_analysis_are_compared(clip: Make, people: Path, tmp_path: Path) -> None:
    calm = clip("calm")
    plan = dataclasses.replace(two_people(calm), people=(Person("obama", 3), Person("zoë", 1)))
    editor = opened(plan, tmp_path)
    page = report_page(editor, Media(calm.path), Settings(), people=people)
    assert "obama: 2 photos now, 3 at the analysis" in page
    assert "zoë: 0 photos now, 1 at the analysis" in page


def test_the_page_is_written_completely_or_not_at_all(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    made = make_report(opened(two_people(calm), tmp_path), Media(calm.path), Settings())
    path = tmp_path / "report.html"
    write_report(made, path)
    assert path.read_text("utf-8") == made.html
    with pytest.raises(OutputError, match="already exists"):
        write_report(made, path)


def test_the_findings_of_a_verification_are_faults(clip: Make, tmp_path: Path) -> None:
    calm, path = clip("calm"), tmp_path / "found.json"
    editor = opened(two_people(calm), tmp_path)
    clean = {"result": "x.mp4", "frames": 60, "compared": True, "people": 1, "findings": []}

    def made(**changes: object) -> Report:
        path.write_text(json.dumps(clean | changes))
        look = read_second_look(path)
        return make_report(editor, Media(calm.path), Settings(), second_look=look)

    assert made().is_done
    assert "nothing found in 60 frames" in made().html
    assert made(frames=59).faults == ("the verification has looked at 59 of 60 frames",)
    seen = made(findings=[{"kind": "readable", "text": "frame 7 (0:00.2): <b>the face</b>"}])
    assert (seen.is_done, seen.faults) == (False, ("the verification has 1 finding",))
    assert "verification: frame 7 (0:00.2): &lt;b&gt;the face&lt;/b&gt;" in seen.html
    for wrong in ("", "[]", '{"frames": 60}', "{" * 9):
        path.write_text(wrong)
        with pytest.raises(UsageError, match=r"found\.json"):
            read_second_look(path)
