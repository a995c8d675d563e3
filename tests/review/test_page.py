"""The page of the review in a real browser: what it shows, and what keys and the mouse do."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.config import Settings
from app.edits import Editor
from app.files import sha256_of
from app.plan import SourceRecord
from app.review.desk import Desk
from app.types import Size
from app.video import Media
from testmedia.clip import Clip
from testmedia.fetch import fetch
from testmedia.videos import ROTATED, VideoSpec
from tests.review.browser import (
    hour,
    number_in,
    served,
    serving_desk,
    state_of,
    still,
    window,
    write_plan_of,
)
from tests.test_plan import make_plan

pytestmark = pytest.mark.slow

SIZE: Size = (320, 192)
FRAMES = 120
LEFT, RIGHT = (40.0, 100.0, 90.0, 150.0), (220.0, 100.0, 270.0, 150.0)
LOW = (130.0, 150.0, 180.0, 188.0)
IRREGULAR = [0]
for _i in range(FRAMES - 1):
    IRREGULAR.append(IRREGULAR[-1] + (320, 512, 1024, 640)[_i % 4])
SPECS: dict[str, dict[str, Any]] = {
    "steady": {},
    "variable": {"pts": IRREGULAR, "base": Fraction(1, 12800)},
    "rotated": {"matrix": ROTATED[90]},
}


_TWO_KEYS = """() => ["v", "Enter"].forEach(
  (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }))
)"""


def doubtful(folder: Path, **spec: Any) -> tuple[Path, Path]:
    """A video and its plan: Alice is hidden, Person 1 kept; one is unsure, two cannot be told."""
    video = VideoSpec(size=SIZE, count=FRAMES, **spec).write(folder / "clip.mp4")
    tracks = (
        still(0, 0, 49, LEFT, card="alice"),
        still(1, 0, 49, RIGHT, card="Person 1", decision="keep"),
        still(2, 50, 119, RIGHT, shot=1, card="alice", uncertain=True, reason="may be alice"),
        still(3, 50, 119, LEFT, shot=1, card="Person 1", decision="keep"),
        still(4, 60, 119, LOW, shot=1, uncertain=True, unclear="too dark"),
        still(5, 0, 20, (150, 100, 170, 120), uncertain=True, unclear="too small"),
    )
    shots = ((0, 50), (50, FRAMES))
    people = ({"name": "alice", "photos": 2}, {"name": "bob", "photos": 1})
    plan = write_plan_of(video, tracks, SIZE, shots=shots, people=people)
    return video, plan


def decisions(plan: Path) -> dict[int, str]:
    return {track.id: track.decision for track in Editor.open(plan).review.tracks.values()}


def count(plan: Path) -> int:
    return len(Editor.open(plan).journal.edits)


def heading(opened: Any) -> str:
    return str(opened.page.locator("review-selected section:last-child h3").inner_text())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_hour_with_2000_tracks_opens_quickly_and_is_accessible(
    browser: Any, tmp_path: Path, scheme: str
) -> None:
    video, plan = hour(tmp_path)
    with served(video, plan) as url, window(browser, color_scheme=scheme) as opened:
        with window(browser) as first:
            first.open(url)  # the server has counted the frames
        begin = time.monotonic()
        opened.open(url)
        assert time.monotonic() - begin < 2
        assert opened.barriers() == []
        begin = time.monotonic()
        opened.keys("+", "+", "+", "0")
        opened.seek(45_000)
        assert time.monotonic() - begin < 2
        assert opened.page.locator("review-timeline svg[role=slider] path").count() < 200


@pytest.mark.parametrize("size", [(390, 844), (1440, 900)])
def test_nothing_is_wider_than_the_window(
    browser: Any, tmp_path: Path, size: tuple[int, int]
) -> None:
    view = {"width": size[0], "height": size[1]}
    with served(*doubtful(tmp_path)) as url, window(browser, viewport=view) as opened:
        opened.open(url)
        for name in ("Cast", "Timeline", "Selected") if size[0] < 900 else ("",):
            if name:
                opened.page.click(f".tabs button:text-is('{name}')")
            wide = opened.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= size[0]
            assert opened.barriers() == []


def test_the_keyboard_alone_empties_the_queue(browser: Any, tmp_path: Path) -> None:
    video, plan = doubtful(tmp_path)
    with served(video, plan) as url, window(browser) as opened:
        opened.open(url)
        assert "Track 2: alice" in heading(opened)  # unsure comes first
        opened.keys("n")
        assert "cannot tell" in heading(opened)
        opened.keys("p")
        for number in range(1, 20):
            if opened.page.locator(".state").inner_text() == "Done":
                break
            opened.wait_for_picture()
            opened.keys("Enter")
            opened.saved(number)
        assert opened.page.locator(".state").inner_text() == "Done"
        assert opened.page.locator(".queue").inner_text() == "Nothing is open"
    edits = Editor.open(plan).journal.edits
    assert {edit.operation for edit in edits} == {"confirm"}
    kinds = [edit.target.kind for edit in edits]
    assert [str(edit.target) for edit in edits][:2] == ["track 2", "track 4"]
    assert kinds[-1] == "listed"


@pytest.mark.parametrize("name", SPECS)
def test_a_click_selects_the_right_face_in_the_right_frame(
    browser: Any, tmp_path: Path, name: str
) -> None:
    """Two faces change places in each frame, so that a click one frame off is seen."""
    video = VideoSpec(size=SIZE, count=FRAMES, **SPECS[name]).write(tmp_path / "clip.mp4")
    tracks = [still(number, 0, FRAMES - 1, LEFT, decision="keep") for number in (0, 1)]
    for track in tracks:
        rows = track.boxes.copy()
        rows[:, 1:] = [(LEFT, RIGHT)[(frame + track.id) % 2] for frame in range(FRAMES)]
        object.__setattr__(track, "boxes", rows)
    plan = write_plan_of(video, tracks, SIZE)
    with served(video, plan) as url, window(browser) as opened:
        opened.open(url)
        opened.keys("Escape")
        for frame in (1, 58, 119, 0, 47, 50, 51, 99, 4, 76):
            opened.seek(frame)
            assert number_in(opened.pixels()) == frame
            opened.page.mouse.click(*opened.place(65, 125, SIZE))
            assert heading(opened).startswith(f"Track {frame % 2}:")
            opened.page.mouse.click(*opened.place(245, 125, SIZE))
            assert heading(opened).startswith(f"Track {1 - frame % 2}:")
        opened.seek(60)
        opened.keys("ArrowRight", "ArrowRight", "ArrowLeft", "Shift+ArrowRight")
        opened.wait_for_picture()
        shown = opened.page.locator("review-overlay svg").get_attribute("data-frame")
        assert number_in(opened.pixels()) == int(shown)


def test_playing_shows_the_boxes_of_the_picture(browser: Any, tmp_path: Path) -> None:
    with served(*doubtful(tmp_path)) as url, window(browser) as opened:
        opened.open(url)
        opened.seek(0)
        opened.keys("Space")
        opened.page.wait_for_function(
            "() => Number(document.querySelector('review-overlay svg').dataset.frame) > 30"
        )
        opened.keys("k")
        opened.wait_for_picture()
        frame = int(opened.page.locator("review-overlay svg").get_attribute("data-frame"))
        assert 30 < frame < FRAMES
        assert number_in(opened.pixels()) == frame


def test_a_decision_about_a_person_is_for_all_tracks(browser: Any, tmp_path: Path) -> None:
    video, plan = doubtful(tmp_path)
    with served(video, plan) as url, window(browser) as opened:
        opened.open(url)
        begin = time.monotonic()
        opened.page.click("[aria-label='Keep alice']")
        opened.saved(1)
        assert time.monotonic() - begin < 1
        assert decisions(plan) == {0: "keep", 1: "keep", 2: "keep", 3: "keep", 4: "blur", 5: "blur"}
        opened.keys("Escape", "2", "Shift+H")
        opened.saved(2)
        assert decisions(plan)[1] == decisions(plan)[3] == "blur"
        opened.seek(10)
        opened.page.mouse.click(*opened.place(65, 125, SIZE))
        opened.keys("h")
        opened.saved(3)
        assert decisions(plan) == {0: "blur", 1: "blur", 2: "keep", 3: "blur", 4: "blur", 5: "blur"}
    with served(video, plan) as url, window(browser) as opened:
        opened.open(url)
        alice = opened.page.locator(".card:has-text('alice')").first
        assert "mixed" in alice.inner_text()


def test_a_drawn_region_is_hidden_between_its_key_frames_only(browser: Any, tmp_path: Path) -> None:
    video, plan = doubtful(tmp_path)
    with served(video, plan, effect="solid") as url, window(browser) as opened:
        opened.open(url)
        before = state_of(plan)
        opened.seek(10)
        opened.keys("b")
        opened.drag((20, 20), (60, 60), SIZE)
        opened.saved(1)
        for number, (frame, start, end) in enumerate(
            [(20, (40, 40), (140, 40)), (30, (140, 40), (140, 10))], 2
        ):
            opened.seek(frame)
            opened.drag(start, end, SIZE)
            opened.saved(number)
        opened.keys("o")
        opened.saved(4)
        [region] = Editor.open(plan).review.regions.values()
        assert (region.first, region.last) == (10, 30)
        assert [key[0] for key in region.keys] == [10, 20, 30]
        expected = {10: 40, 15: 90, 20: 140, 30: 140}
        for row in region.rows():
            if (frame := int(row[0])) in expected:
                assert (row[1] + row[3]) / 2 == pytest.approx(expected[frame], abs=2)
        assert region.rows()[-1][2] == 0  # it was dragged out of the picture
        hidden = {frame for frame in range(5, 36) if _is_covered(opened, frame, region)}
        assert hidden == set(range(10, 31))
        opened.keys(*["z"] * 4)
        opened.saved(8)
        assert state_of(plan) == before
        assert opened.page.locator("[data-region]").count() == 0


def _is_covered(opened: Any, frame: int, region: Any) -> bool:
    """Return whether the picture on the screen is of one colour where the region would be."""
    opened.seek(frame)
    place = min(max(frame, region.first), region.last) - region.first
    x1, y1, x2, y2 = (int(value) for value in region.rows()[place][1:])
    part = opened.pixels()[y1 + 3 : y2 - 3, x1 + 3 : x2 - 3].reshape(-1, 3).astype(int)
    return bool(abs(part - (0, 0, 0)).max() < 25)


def test_odd_drags_are_clamped_or_ignored(browser: Any, tmp_path: Path) -> None:
    video, plan = doubtful(tmp_path)
    with served(video, plan) as url, window(browser) as opened:
        opened.open(url)
        opened.seek(5)
        opened.keys("b")
        opened.drag((50, 50), (50, 50), SIZE)  # a click draws nothing
        opened.keys("b")
        opened.drag((300, 180), (-90, -70), SIZE)
        opened.saved(1)
        opened.keys("b")
        opened.drag((319, 20), (319.4, 90), SIZE)
        opened.saved(2)
        first, second = Editor.open(plan).review.regions.values()
        assert first.keys[0] == pytest.approx((5, 0, 0, 300, 180), abs=1)
        _, x1, y1, x2, y2 = second.keys[0]
        assert 4 <= x2 - x1 < 6
        assert 0 <= x1 < x2 <= SIZE[0]
        assert (y1, y2) == pytest.approx((20, 90), abs=1)
        opened.keys("Delete")
        opened.saved(3)
        assert list(Editor.open(plan).review.regions.values()) == [first]


def test_split_merge_undo_and_redo_by_keys(browser: Any, tmp_path: Path) -> None:
    video, plan = doubtful(tmp_path)
    with served(video, plan) as url, window(browser) as opened:
        opened.open(url)
        before = state_of(plan)
        opened.seek(70)
        opened.page.mouse.click(*opened.place(155, 170, SIZE))
        opened.keys("s")
        opened.saved(1)
        assert "Track 6" in heading(opened)
        opened.keys("h", "Escape", "1", "m")
        other = opened.page.locator("dialog button:has-text('Person 1')")
        assert "seen at the same time" in other.inner_text()
        assert other.is_disabled()
        opened.keys("Escape")
        opened.seek(30)
        opened.page.mouse.click(*opened.place(65, 125, SIZE))
        opened.page.select_option("review-selected select", label="Person 1")
        opened.page.wait_for_selector(".message.warning:has-text('frame 0 shows both')")
        opened.forgive("400")
        opened.keys("Escape")
        opened.seek(80)
        opened.page.mouse.click(*opened.place(155, 170, SIZE))
        opened.page.select_option("review-selected select", label="A new person ...")
        opened.page.fill("dialog input", "Carol")
        opened.keys("Enter")
        opened.saved(3)
        after = state_of(plan)
        opened.keys("z", "z", "z")
        opened.saved(6)
        assert state_of(plan) == before
        opened.keys("Shift+Z", "Shift+Z", "Shift+Z")
        opened.saved(9)
        assert state_of(plan) == after
        assert opened.page.locator(".card:has-text('Carol')").count() == 1


def test_the_second_window_learns_who_was_first(browser: Any, tmp_path: Path) -> None:
    video, plan = doubtful(tmp_path)
    with (
        served(video, plan) as url,
        served(video, plan, "Bob") as other_url,
        window(browser) as opened,
        window(browser) as other,
    ):
        opened.open(url)
        other.open(other_url)
        other.page.click("[aria-label='Hide Person 1']")
        other.saved(1)
        opened.page.evaluate(_TWO_KEYS)  # the second is meant for the state after the first
        message = opened.page.locator(".message.warning")
        message.wait_for()
        assert "Bob decided to hide Person 1 at" in message.inner_text()
        assert "your change was not made" in message.inner_text()
        assert count(plan) == 1
        assert (
            opened.page.locator("[aria-label='Hide Person 1']").get_attribute("aria-pressed")
            == "true"
        )
        opened.page.click("[aria-label='Keep alice']")
        opened.saved(2)
        opened.forgive("409")


def test_names_and_notes_stay_text(browser: Any, tmp_path: Path) -> None:
    text = "<img src=x onerror=alert(1)><script>window.broken = 1</script>"
    video, plan = doubtful(tmp_path)
    with served(video, plan) as url, window(browser) as opened:
        opened.page.on("dialog", lambda _: opened.errors.append("a dialog was opened"))
        opened.open(url)
        opened.page.fill("review-selected textarea", text)
        opened.page.keyboard.press("Enter")
        opened.saved(1)
        opened.keys("Escape", "2", "F2")
        opened.page.fill("dialog input", text)
        opened.keys("Enter")
        opened.saved(2)
        opened.page.reload()
        opened.wait_for_picture()
        assert opened.page.locator(".card .name", has_text=text).count() == 1
        assert opened.page.locator("review-timeline .labels", has_text=text).count() == 1
        assert opened.page.locator("review-selected textarea").input_value() == text
        assert opened.page.evaluate("window.broken") is None
        assert opened.page.locator("img[src=x]").count() == 0


def test_an_old_picture_is_covered_until_the_new_one_is_there(browser: Any, tmp_path: Path) -> None:
    video, plan = doubtful(tmp_path)
    with served(video, plan) as url, window(browser) as opened:
        opened.open(url)
        opened.seek(70)
        waiting: list[Any] = []

        def hold(route: Any) -> None:
            waiting.append(route)

        opened.page.route("**/segment/**", hold)
        opened.page.click("[aria-label='Hide Person 1']")
        opened.saved(1)
        opened.page.wait_for_selector(".cover")
        covers = opened.page.locator(".cover")
        assert covers.count() == 3  # everything hidden in this frame
        opened.page.wait_for_timeout(300)
        assert covers.count() == 3
        for route in waiting:
            route.continue_()
        opened.page.unroute("**/segment/**")
        opened.page.wait_for_function("() => document.querySelectorAll('.cover').length === 0")


def test_clear_pictures_are_asked_for_and_announced(browser: Any, tmp_path: Path) -> None:
    with served(*doubtful(tmp_path)) as url, window(browser) as opened:
        opened.open(url)
        opened.page.click("button:text-is('Before')")
        opened.keys("Escape")
        assert opened.page.locator(".clear-banner").count() == 0
        assert not any("before" in address for address in opened.requests)
        opened.page.click("button:text-is('Split')")
        opened.page.click("dialog button:text-is('Show them clear')")
        opened.page.wait_for_selector(".clear-banner")
        opened.page.wait_for_selector("video.before")
        opened.page.click(".clear-banner button")
        opened.page.wait_for_selector(".clear-banner", state="detached")
        assert opened.page.locator("video.before").count() == 0


def test_edits_are_refused_while_the_server_is_gone(browser: Any, tmp_path: Path) -> None:
    video, plan = doubtful(tmp_path)
    with served(video, plan) as url, window(browser) as opened:
        opened.open(url)
        opened.page.route("**/api/**", lambda route: route.abort())
        opened.page.click("[aria-label='Keep alice']")
        opened.page.wait_for_selector(".gone")
        assert "your change was not made" in opened.page.locator(".message").inner_text()
        opened.page.unroute("**/api/**")
        opened.page.wait_for_selector(".gone", state="detached")
        assert count(plan) == 0
        opened.forgive("net::ERR_FAILED")


def test_the_page_keeps_nothing_personal(browser: Any, tmp_path: Path) -> None:
    with served(*doubtful(tmp_path)) as url, window(browser) as opened:
        opened.open(url)
        opened.page.click("button:text-is('Outlines')")
        kept = opened.page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
        assert json.loads(kept) == {"face-blur-review": '{"outlines":false}'}
        assert "token" not in opened.page.url


def test_saved_edits_survive_a_killed_server(browser: Any, tmp_path: Path) -> None:
    video, plan = doubtful(tmp_path)
    for number, decision in enumerate(("Keep", "Hide"), 1):
        with killed_at_the_end(video, plan) as url, window(browser) as opened:
            opened.open(url)
            assert opened.page.evaluate("document.body.dataset.edits") == str(number - 1)
            opened.page.click(f"[aria-label='{decision} alice']")
            opened.saved(number)
    with served(video, plan) as url, window(browser) as opened:
        opened.open(url)
        button = opened.page.locator("[aria-label='Hide alice']")
        assert button.get_attribute("aria-pressed") == "true"
    assert count(plan) == 2


@contextmanager
def killed_at_the_end(video: Path, plan: Path) -> Iterator[str]:
    """Serve a review with the command, and kill it without a warning."""
    command = [sys.executable, "-m", "app.cli", "review", str(video), "--plan", str(plan)]
    with subprocess.Popen(
        [*command, "--no-browser", "--quiet"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def test_the_result_is_written_and_its_state_told(browser: Any, tmp_path: Path) -> None:
    video, plan = doubtful(tmp_path)
    with served(video, plan) as url, window(browser) as opened:
        opened.open(url)
        assert opened.page.locator(".state").inner_text() == "Review required"
        opened.keys("Enter")
        opened.saved(1)
        opened.page.click("button:text-is('Render 1 change')")
        opened.page.wait_for_selector(".result:text-is('result.mp4')", timeout=30_000)
        assert "Review required" in opened.page.locator(".message").inner_text()
        assert opened.page.locator("button:text-is('Render again')").count() == 1
        opened.keys("v")
        opened.saved(2)
        opened.page.wait_for_selector("button:text-matches('^Render [12] change')")
        assert "(old)" in opened.page.locator(".result").inner_text()
    assert (tmp_path / "result.mp4").exists()


def test_a_photo_is_shown_without_a_timeline(browser: Any, tmp_path: Path) -> None:
    picture = tmp_path / "photo.png"
    pixels = np.full((192, 320, 3), 120, np.uint8)
    cv2.imwrite(str(picture), pixels)
    source = SourceRecord(sha256_of(Media(picture)), picture.name, 1, *SIZE, 0.0)
    plan = tmp_path / "photo.plan.json"
    make_plan(still(0, 0, 0, LEFT, decision="keep"), source=source, shots=((0, 1),)).write(plan)
    with served(picture, plan, effect="solid") as url, window(browser) as opened:
        opened.page.goto(url)
        opened.page.wait_for_selector("review-overlay [data-track='0']")
        assert not opened.page.locator("review-timeline").is_visible()
        opened.page.mouse.click(*opened.place(65, 125, SIZE))
        opened.keys("h")
        opened.saved(1)
        opened.page.wait_for_function("() => document.querySelectorAll('.cover').length === 0")
        opened.page.wait_for_timeout(200)
        shown = opened.pixels()
        assert shown[125, 65].max() < 20
        assert shown[20, 20] == pytest.approx(120, abs=5)


def test_a_review_begins_with_files_that_are_dropped(
    browser: Any, tmp_path: Path, clip: Callable[[str], Clip]
) -> None:
    desk = Desk("Ann", Settings(), tmp_path / "review")
    with serving_desk(desk) as url, window(browser) as opened:
        opened.page.goto(url)
        files = opened.page.locator("input[type=file]")
        files.nth(0).set_input_files(clip("calm").path)
        opened.page.wait_for_selector("li:has-text('calm.mp4')")
        opened.page.fill("#person-name", "Barack")
        files.nth(1).set_input_files(fetch("obama2.jpg"))
        opened.page.wait_for_selector("li:has-text('Barack')", timeout=60_000)
        assert opened.page.locator("input[value=listed]").is_checked()
        assert opened.barriers() == []
        opened.page.click("button:text-is('Analyse')")
        opened.page.click("li button:text-is('calm.mp4')", timeout=120_000)
        opened.wait_for_picture()
        assert opened.page.locator(".card:has-text('Barack')").count() == 1


def test_a_card_that_is_dragged_onto_another_one_is_merged(browser: Any, tmp_path: Path) -> None:
    video = VideoSpec(size=SIZE, count=FRAMES).write(tmp_path / "clip.mp4")
    tracks = [
        still(0, 0, 30, LEFT, card="Person 1"),
        still(1, 40, 60, LEFT, card="Person 2", decision="keep"),
        still(2, 70, 90, LEFT),
    ]
    plan = write_plan_of(video, tracks, SIZE)
    with served(video, plan) as url, window(browser) as opened:
        opened.open(url)
        first = opened.page.locator(".card:has-text('Person 1')")
        opened.page.locator(".card:has-text('Person 2')").drag_to(first)
        opened.saved(1)
        opened.page.locator(".nobody li").drag_to(first)
        opened.saved(2)
    found = Editor.open(plan).review.tracks.values()
    assert [(track.card, track.decision) for track in found] == [("Person 1", "blur")] * 3


@pytest.mark.parametrize("fault", ["no media source", "an error of the video"])
def test_without_video_single_pictures_are_shown(browser: Any, tmp_path: Path, fault: str) -> None:
    video, plan = doubtful(tmp_path)
    with served(video, plan) as url, window(browser) as opened:
        if fault == "no media source":
            opened.page.add_init_script("delete window.MediaSource")
        opened.open(url)
        if fault == "an error of the video":
            opened.page.dispatch_event("video", "error")
        opened.page.wait_for_selector("img.picture")
        for frame in (0, 77, 119):
            opened.seek(frame)
            assert number_in(opened.pixels()) == frame
        opened.seek(0)
        opened.keys("Space")
        opened.page.wait_for_function(
            "() => Number(document.querySelector('review-overlay svg').dataset.frame) > 5"
        )
        opened.keys("k")


def test_enter_confirms_nothing_that_was_not_seen(browser: Any, tmp_path: Path) -> None:
    video, plan = doubtful(tmp_path)
    with served(video, plan) as url, window(browser) as opened:
        opened.open(url)
        opened.page.keyboard.down("Enter")
        opened.page.keyboard.down("Enter")  # it is held down
        opened.saved(1)
        opened.wait_for_picture()
        opened.page.keyboard.up("Enter")
        opened.keys("1", "Enter")  # something else hides the question
        assert "Track 4" in heading(opened)
        assert count(plan) == 1
        opened.keys("Enter")
        opened.saved(2)
